"""Images in one .npz archive of arrays, as MedMNIST publishes them."""

from __future__ import annotations

import zipfile
import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from medical_transfer.config.images import Images
from medical_transfer.data.tables import SPLIT_NAMES, found_frame, tidy
from medical_transfer.runtime.files import sha256_of
from medical_transfer.types import UserError


@dataclass(frozen=True)
class NpzReader:
    """Kind `npz`: MedMNIST's arrays (`train_images`, `train_labels`, `val_...`, `test_...`) or plain `images`/`labels`.

    `x`/`y` are read like `images`/`labels`. Optional arrays: `class_names` (text per label number) and `names` (one
    file name per image of `images`, for `images.group_pattern`). All are loaded once, without pickle.
    """

    images: Images
    packages_folder: Path
    need_labels: bool = True

    @cached_property
    def _file(self) -> Path:
        file = Path(self.images.root or "")
        if not file.is_file():
            raise UserError(f"images.root is {file}, which is no file: images.kind=npz expects one .npz file.")
        return file

    @cached_property
    def _arrays(self) -> dict[str, NDArray[Any]]:
        try:
            with np.load(self._file, allow_pickle=False) as archive:
                return {name: archive[name] for name in archive.files if name + ".npy" in archive.zip.namelist()}
        except (ValueError, OSError, AttributeError, TypeError, zipfile.BadZipFile, zlib.error) as error:
            raise UserError(
                f"{self._file} cannot be read as .npz ({error}): expected arrays of numbers and text saved by "
                "numpy.savez, without pickled objects."
            ) from error

    @cached_property
    def _image_keys(self) -> list[str]:
        known = [*(f"{split}_images" for split in SPLIT_NAMES), "images", "x"]
        keys = [key for key in known if key in self._arrays and self._arrays[key].size]
        if not keys:
            raise UserError(
                f"{self._file} has the arrays {sorted(self._arrays)}, expected images in train_images (also "
                "val_images, test_images), images or x."
            )
        return keys

    @cached_property
    def _places(self) -> dict[str, NDArray[Any]]:
        keys = self._image_keys
        return {path: image for key in keys for path, image in zip(self._paths(key), self._arrays[key], strict=True)}

    def find(self) -> pd.DataFrame:
        """One row per image; the path is `<array>/<index>`, or `<array>/<name>` where `names` are all different."""
        labels = [label for key in self._image_keys for label in self._labels(key)]
        splits = [SPLIT_NAMES.get(key.split("_")[0]) for key in self._image_keys for _ in self._arrays[key]]
        return found_frame(self._places, labels, splits)

    def read(self, path: str) -> NDArray[Any]:
        """One image as an array."""
        return self._places[path]

    def fingerprint(self) -> str:
        """Sha256 of the archive."""
        return sha256_of(self._file)

    def _paths(self, key: str) -> list[str]:
        count = len(self._arrays[key])
        names = [str(name) for name in self._arrays.get("names", np.empty(0)).flat] if key in ("images", "x") else []
        return [f"{key}/{name}" for name in (names if len(set(names)) == len(names) == count else range(count))]

    def _labels(self, key: str) -> Sequence[str | None]:
        name, count = "y" if key == "x" else key.replace("images", "labels"), len(self._arrays[key])
        if name not in self._arrays and self.need_labels:
            raise UserError(f"{self._file} has {key} but no {name}: found the arrays {sorted(self._arrays)}.")
        numbers = self._arrays.get(name, np.full(count, np.nan))
        if numbers.shape not in ((count,), (count, 1)):
            raise UserError(
                f"{name} in {self._file} has shape {numbers.shape}, expected one label per image: ({count},)."
            )
        labels = tidy(numbers.reshape(-1).tolist())
        named = self._arrays.get("class_names", np.empty(0)).flat
        classes = {str(number): str(name) for number, name in enumerate(named)}
        return [classes.get(label, label) for label in labels]
