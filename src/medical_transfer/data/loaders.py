"""Batches by slicing arrays: no worker processes, no pickling, the same order for the same seed and epoch.

A thread may cut them a little ahead into page-locked memory, from which an accelerator takes them while it works.

Three things can be learned from, all of them memory maps on disk: images (uint8), activations at the cut of a frozen
trunk, and features at its end. The last two hold several augmented views of each image; an epoch draws one of them.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from medical_transfer.data.ahead import in_order
from medical_transfer.runtime.devices import move


@dataclass(frozen=True)
class Batch:
    """Inputs (images N3SS uint8, or activations/features float), labels N, and the rows they came from."""

    inputs: Tensor
    labels_N: Tensor
    rows_N: Tensor

    def to(self, device: torch.device | str) -> Batch:
        """Move the batch to a device (the name that Lightning calls)."""
        return Batch(move(self.inputs, device), move(self.labels_N, device), move(self.rows_N, device))

    def pinned(self) -> Batch:
        """The batch in page-locked memory."""
        return Batch(self.inputs.pin_memory(), self.labels_N.pin_memory(), self.rows_N.pin_memory())

    def __len__(self) -> int:
        return len(self.labels_N)


@dataclass(frozen=True)
class Rows:
    """What batches are cut from: one array per view, `views_V[v][slots[i]]` being row i under view v.

    View 0 is the image as it is; further views are augmented. `labels_N` are class numbers.
    """

    views_V: tuple[NDArray[Any], ...]
    slots_VN: tuple[NDArray[np.int64], ...]
    labels_N: NDArray[np.int64]

    def __len__(self) -> int:
        return len(self.labels_N)

    def take(self, rows_n: NDArray[np.int64], view_n: NDArray[np.int64]) -> Tensor:
        """Row `rows_n[i]` under view `view_n[i]`, stacked."""
        views, slots = self.views_V, self.slots_VN
        return torch.from_numpy(np.stack([views[v][slots[v][r]] for r, v in zip(rows_n, view_n, strict=True)]))


class Batches:
    """An epoch of batches over `rows`, shuffled by `seed` (None: in order, view 0).

    With `steps` an epoch has so many whole batches: where the rows run out they come again, shuffled anew, so that a
    small set is given as many steps as a large one. With `ahead` a thread cuts the next batches and page-locks them.
    """

    def __init__(
        self, rows: Rows, *, batch_size: int, seed: int | None = None, steps: int | None = None, ahead: bool = False
    ) -> None:
        self.rows, self.batch_size, self.seed, self.steps, self.ahead = rows, batch_size, seed, steps, ahead

    def __len__(self) -> int:
        if self.steps is not None:
            return self.steps
        n, size = len(self.rows), self.batch_size
        # A last batch of one image has no batch statistics: it joins no epoch of training.
        return -(-n // size) - (1 if self.seed is not None and n % size == 1 and n > 1 else 0)

    def __iter__(self) -> Iterator[Batch]:
        order, views = self._order()

        def cut(start: int) -> Batch:
            rows = order[start : start + self.batch_size]
            inputs = self.rows.take(rows, views[start : start + self.batch_size])
            batch = Batch(inputs, torch.from_numpy(self.rows.labels_N[rows]), torch.from_numpy(rows))
            return batch.pinned() if self.ahead else batch

        starts = range(0, len(self) * self.batch_size, self.batch_size)
        return in_order(cut, starts, workers=1) if self.ahead else map(cut, starts)

    def _order(self) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        n = len(self.rows)
        if self.seed is None:
            return np.arange(n), np.zeros(n, dtype=np.int64)
        rng = np.random.default_rng(self.seed)
        wanted = n if self.steps is None else self.steps * self.batch_size
        order = np.concatenate([rng.permutation(n) for _ in range(-(-wanted // n))])[:wanted]
        return order, rng.integers(0, len(self.rows.views_V), wanted)
