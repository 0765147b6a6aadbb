"""How a model sees images of its source where that is not how it sees those of the target.

A model that was aligned in its features takes target images as they are; source images need the alignment first.
Shapes: N images, H features that the last layer sees.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

FILE = "source_view.npz"


@dataclass(frozen=True, eq=False)
class SourceView:
    """Source features become `features @ matrix_HH + shift_H`."""

    matrix_HH: NDArray[np.float64]
    shift_H: NDArray[np.float64]

    def of(self, features_NH: NDArray[np.float64]) -> NDArray[np.float64]:
        """Features (N, H) as the last layer should see them."""
        return np.asarray(features_NH @ self.matrix_HH + self.shift_H)

    def save(self, folder: Path) -> None:
        """Write it beside a model."""
        np.savez(folder / FILE, matrix=self.matrix_HH, shift=self.shift_H)


def source_view(folder: Path) -> SourceView | None:
    """The view that was saved beside a model; None where source images are seen like any other."""
    if not (folder / FILE).exists():
        return None
    with np.load(folder / FILE, allow_pickle=False) as saved:
        return SourceView(saved["matrix"], saved["shift"])
