"""Images that a program hands over: paths, pictures of Pillow, arrays. They are read like files of a folder."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from PIL import Image

from medical_transfer.data.folders import read_inside
from medical_transfer.data.tables import found_frame
from medical_transfer.types import UserError

Given = str | Path | Image.Image | NDArray[Any]


@dataclass(frozen=True)
class GivenReader:
    """A reader of what is at hand; of a path the file is read, whatever folder it lies in."""

    given: dict[str, Given]
    max_pixels: int

    def find(self) -> pd.DataFrame:
        """One row per image: its path, or `image <number>`."""
        return found_frame(self.given)

    def read(self, path: str) -> bytes | NDArray[Any] | Image.Image:
        """Bytes of a file, or the picture or array itself."""
        image = self.given[path]
        if not isinstance(image, str | Path):
            return image
        place = Path(image).expanduser().resolve()
        return read_inside(place.parent, place, self.max_pixels)

    def fingerprint(self) -> str:
        """Hash of the names."""
        return hashlib.sha256("\0".join(self.given).encode()).hexdigest()


def as_given(images: Iterable[Given] | Given, max_pixels: int) -> GivenReader:
    """A reader of one image or of several: a stack of arrays is (N, H, W), (N, H, W, 1) or (N, H, W, 3).

    Raises:
        UserError: there is none, one is of another type, or a path comes twice.
    """
    several = _several(images)
    if not several:
        raise UserError("There is no image to predict: give paths, pictures of Pillow or uint8 arrays.")
    named: dict[str, Given] = {}
    for number, image in enumerate(several):
        if not isinstance(image, str | Path | Image.Image | np.ndarray):
            raise UserError(
                f"Image {number} is a {type(image).__name__}, expected a path, a picture of Pillow or an array of "
                "numpy (uint8, height x width or height x width x 3)."
            )
        name = str(image) if isinstance(image, str | Path) else f"image {number}"
        if name in named:
            raise UserError(f"{name} is given twice: give each path once.")
        named[name] = image
    return GivenReader(named, max_pixels)


def _several(images: Iterable[Given] | Given) -> Sequence[Given]:
    if isinstance(images, str | Path | Image.Image):
        return [images]
    if isinstance(images, np.ndarray) and (images.ndim == 2 or (images.ndim == 3 and images.shape[2] in (1, 3))):
        return [images]
    return list(images)
