"""Images in one .npz archive of arrays, as MedMNIST publishes them."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property
from itertools import accumulate
from pathlib import Path
from threading import Lock
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from medical_transfer.config.images import Images
from medical_transfer.data.tables import SPLIT_NAMES, found_frame, tidy
from medical_transfer.data.zipped_arrays import ArrayHeader, ZippedArrays
from medical_transfer.runtime.files import sha256_of
from medical_transfer.types import UserError

IMAGES_SHAPE = "(images, height, width) or (images, height, width, 1 or 3)"


@dataclass(frozen=True)
class NpzReader:
    """Kind `npz`: MedMNIST's arrays (`train_images`, `train_labels`, `val_...`, `test_...`) or plain `images`/`labels`.

    `x`/`y` are read like `images`/`labels`. Optional arrays: `class_names` (text per label number) and `names` (one
    file name per image of `images`, for `images.group_pattern`). Labels are whole numbers or text; NaN is a missing
    one. Images are mapped from disk, those of a compressed archive after it was expanded into `scratch_folder` at the
    first `read`; nothing is unpickled, and arrays of other names are not touched.
    """

    images: Images
    packages_folder: Path
    need_labels: bool = True
    scratch_folder: Path | None = None
    _mapping: Lock = field(default_factory=Lock, repr=False, compare=False)

    @cached_property
    def _file(self) -> Path:
        file = Path(self.images.root or "")
        if not file.is_file():
            raise UserError(f"images.root is {file}, which is no file: images.kind=npz expects one .npz file.")
        return file

    @cached_property
    def _archive(self) -> ZippedArrays:
        return ZippedArrays(self._file, self.scratch_folder)

    @cached_property
    def _counts(self) -> dict[str, int]:
        """Array of images -> how many it holds."""
        headers = self._archive.headers
        known = [*(f"{split}_images" for split in SPLIT_NAMES), "images", "x"]
        found = [key for key in known if key in headers]
        if not found:
            raise UserError(
                f"{self._file} has the arrays {sorted(headers)}, expected images in train_images (also "
                "val_images, test_images), images or x."
            )
        counts = {key: self._count(key, headers[key]) for key in found}
        if not any(counts.values()):
            raise UserError(f"{found} in {self._file} hold no image: save at least one array that does.")
        return {key: count for key, count in counts.items() if count}

    def _count(self, key: str, header: ArrayHeader) -> int:
        if header.dtype.kind not in "buif":
            raise UserError(
                f"{key} in {self._file} holds {header.dtype} values, expected numbers without pickled objects: bring "
                f"the images to one size and save them as one array of shape {IMAGES_SHAPE}."
            )
        if len(header.shape) not in (3, 4) or header.shape[3:] not in ((), (1,), (3,)):
            raise UserError(f"{key} in {self._file} has shape {header.shape}: save the images as {IMAGES_SHAPE}.")
        return header.shape[0] if header.values_bytes else 0

    @cached_property
    def _places(self) -> dict[str, int]:
        """Path -> place in all arrays of images, one after the other."""
        return {path: place for place, path in enumerate(path for key in self._counts for path in self._paths(key))}

    @cached_property
    def _starts(self) -> list[int]:
        return list(accumulate(self._counts.values(), initial=0))

    @cached_property
    def _pixels(self) -> list[NDArray[Any]]:
        return [self._archive.mapped(key) for key in self._counts]

    def find(self) -> pd.DataFrame:
        """One row per image; the path is `<array>/<index>`, or `<array>/<name>` where `names` are all different."""
        labels = [label for key in self._counts for label in self._labels(key)]
        splits = [SPLIT_NAMES.get(key.split("_")[0]) for key, count in self._counts.items() for _ in range(count)]
        return found_frame(self._places, labels, splits)

    def read(self, path: str) -> NDArray[Any]:
        """One image as an array; the first call maps all of them.

        Raises:
            UserError: an array is damaged, or there is no space to expand it.
        """
        place = self._places[path]
        with self._mapping:  # a cached_property alone may be computed by several threads at once
            pixels = self._pixels
        array = bisect_right(self._starts, place) - 1
        image: NDArray[Any] = pixels[array][place - self._starts[array]]
        return image

    def fingerprint(self) -> str:
        """Sha256 of the archive."""
        return sha256_of(self._file)

    def _paths(self, key: str) -> list[str]:
        count = self._counts[key]
        names = self._words("names") if key in ("images", "x") else []
        if names and len(names) != count:
            raise UserError(f"names in {self._file} holds {len(names)} names for {count} {key}: save one per image.")
        return [f"{key}/{name}" for name in (names if len(set(names)) == count else range(count))]

    def _labels(self, key: str) -> Sequence[str | None]:
        name, count = "y" if key == "x" else key.replace("images", "labels"), self._counts[key]
        if name not in self._archive.headers:
            if self.need_labels:
                found = sorted(self._archive.headers)
                raise UserError(f"{self._file} has {key} but no {name}: found the arrays {found}.")
            return [None] * count
        shape = self._archive.headers[name].shape
        if shape not in ((count,), (count, 1)):
            raise UserError(
                f"{name} in {self._file} has shape {shape}, expected one label per image of {key}: ({count},). Save "
                "class numbers or class names, no one-hot rows; multi-label sets are not supported."
            )
        values = self._values(name)
        names = self._words("class_names")
        if values.dtype.kind == "b" and names:
            values = values.astype(np.int64)
        if values.dtype.kind != "U":
            self._check_numbers(name, values, len(names))
        classes = {str(number): text for number, text in enumerate(names)}
        return [classes.get(label, label) for label in tidy(values.tolist())]

    def _check_numbers(self, name: str, values: NDArray[Any], names: int) -> None:
        """Refuse fractions and infinities, and numbers that have none of the class names (where there are some)."""
        known = values
        if values.dtype.kind == "f":
            known = values[~np.isnan(values)]
            odd = known[~np.isfinite(known) | (known != np.floor(known))]
            if odd.size:
                raise UserError(
                    f"{name} in {self._file} holds {odd[0]:g}: expected whole numbers or text as labels, NaN where "
                    "there is none. Save one class number per image."
                )
        if names and known.size and not 0 <= known.min() <= known.max() < names:
            raise UserError(
                f"{name} in {self._file} holds the numbers {known.min():g} to {known.max():g}, but class_names has "
                f"{names} names (0 to {names - 1}): save one name per class number, or leave class_names out."
            )

    def _words(self, name: str) -> list[str]:
        """Content of `names` or `class_names`; empty where it is not there."""
        if name not in self._archive.headers:
            return []
        return [str(value) for value in self._values(name)]

    def _values(self, name: str) -> NDArray[Any]:
        """A small array, flat: text, or numbers (also truth values)."""
        header = self._archive.headers[name]
        if header.dtype.kind not in "buifUS" or not header.shape:
            raise UserError(
                f"{name} in {self._file} holds {header.dtype} values of shape {header.shape}, expected a list of "
                "numbers or text without pickled objects: save it as numpy.array([...]), text with .astype(str)."
            )
        values = self._archive.load(name).reshape(-1)
        if values.dtype.kind != "S":
            return values
        try:
            return np.char.decode(values, "utf-8")
        except UnicodeDecodeError as error:
            raise UserError(f"{name} in {self._file} is no text in UTF-8: save it with .astype(str).") from error
