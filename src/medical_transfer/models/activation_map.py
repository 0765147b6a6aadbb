"""Activations on disk in half precision, with the error that this costs measured while they are written.

float16 has 11 bits: a value x from 2^-14 to 65504 is kept to within 2^-11 |x|, a smaller one to within 2^-25 (IEEE
754-2019, table 3.5). So |error| / max(|x|, 2^-14) is at most 2^-11 = 0.00049, whatever the values are. Where half
precision does not hold the values (one is beyond 65504, or they are so small that the error is more than that of their
root mean square), the map becomes float32 from there on, and that is told. Feature vectors are float32 from the start.
Shapes: n images, a row of any shape for each.
"""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from medical_transfer.runtime.files import take_space

SMALLEST = 2.0**-14
"""The smallest number that float16 keeps with all its bits."""
BOUND = 2.0**-11
"""The most that rounding to float16 can cost, relative to max(|x|, SMALLEST)."""
COPIED = 256
"""Rows that are copied at once when a map is widened."""


@dataclass(frozen=True)
class Rounding:
    """What keeping activations costs.

    Attributes:
        kind: of the numbers on disk.
        largest: max |error| / max(|x|, 2^-14).
        rms: root mean square of the errors, divided by that of the values.
        reason: why they are not float16; empty where they are, or where nobody wanted it.
    """

    kind: str
    largest: float
    rms: float
    reason: str = ""

    def __str__(self) -> str:
        cost = f"relative error at most {self.largest:.2g}, root mean square {self.rms:.2g}"
        if self.reason:
            return f"in single precision, because {self.reason} ({cost})"
        return f"in half precision, {cost}" if self.kind == "float16" else "in single precision, as they are"

    def facts(self) -> dict[str, Any]:
        """As it stands in a JSON file."""
        return asdict(self)


def worst(each: list[Rounding]) -> Rounding:
    """The widest kind and the largest errors of several maps, with the first reason."""
    kind = max((r.kind for r in each), key=lambda kind: np.dtype(kind).itemsize)
    reason = next((r.reason for r in each if r.reason), "")
    return Rounding(kind, max(r.largest for r in each), max(r.rms for r in each), reason)


class ActivationMap:
    """A map of n rows that is filled in pieces."""

    def __init__(self, path: Path, n: int, row_shape: tuple[int, ...]) -> None:
        self.path, self.shape = path, (n, *row_shape)
        self._rows = self._new(path, np.float16 if len(row_shape) > 1 else np.float32)
        self._largest = self._squared_error = self._squared = 0.0
        self._reason = ""

    def write(self, start: int, rows: NDArray[np.float32]) -> None:
        """Keep rows from number `start` on.

        Raises:
            FloatingPointError: where a value is NaN or infinite.
        """
        if not np.isfinite(rows).all():
            raise FloatingPointError
        squared = _squares(rows)
        if self._rows.dtype == np.float16:
            self._measure(rows, squared)
        self._squared += squared
        self._rows[start : start + len(rows)] = rows

    @property
    def rounding(self) -> Rounding:
        """What keeping the rows has cost so far."""
        rms = math.sqrt(self._squared_error / self._squared) if self._squared else 0.0
        return Rounding(str(self._rows.dtype), self._largest, rms, self._reason)

    def _measure(self, rows: NDArray[np.float32], squared: float) -> None:
        """Count the error of rounding these rows, or widen the map where half precision does not hold them."""
        with np.errstate(over="ignore"):  # it is what is looked for
            error = rows.astype(np.float16).astype(np.float32)
        error -= rows
        squared_error = _squares(error)
        if math.isinf(squared_error):
            self._widen(f"half precision ends at 65504 and one of them is {_extreme(rows):.6g}")
        elif squared_error > BOUND**2 * squared:
            self._widen(f"they are too small for half precision, at most {abs(_extreme(rows)):.2g}")
        else:
            np.abs(error, out=error)
            error /= np.maximum(np.abs(rows), SMALLEST)
            self._largest = max(self._largest, float(error.max(initial=0.0)))
            self._squared_error += squared_error

    def _widen(self, reason: str) -> None:
        """Go on in float32; what is there already stays as it was rounded."""
        self._reason = reason
        wide = self.path.with_name(f"{self.path.stem}.wide.npy")
        rows = self._new(wide, np.float32)
        for start in range(0, len(rows), COPIED):
            rows[start : start + COPIED] = self._rows[start : start + COPIED]
        wide.replace(self.path)
        self._rows = rows

    def _new(self, path: Path, kind: type[np.floating]) -> NDArray[np.floating]:
        empty: NDArray[np.floating] = np.lib.format.open_memmap(path, mode="w+", dtype=kind, shape=self.shape)
        take_space(path)
        return empty


def _squares(values: NDArray[np.float32]) -> float:
    """Sum of squares in double, without a copy in double."""
    flat = values.reshape(-1)
    return float(np.einsum("i,i->", flat, flat, dtype=np.float64, casting="safe"))


def _extreme(values: NDArray[np.float32]) -> float:
    """The value farthest from 0."""
    flat = values.reshape(-1)
    return float(max(flat.min(), flat.max(), key=abs))
