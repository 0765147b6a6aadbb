"""Omniglot in one .npz archive: handwritten characters as packed bits, each with its alphabet and its drawer.

Source: Lake, Salakhutdinov & Tenenbaum 2015, "Human-level concept learning through probabilistic program induction".
Arrays: `ink_packed` (N, 1379) uint8, the 105 x 105 = 11,025 bits of each drawing with 1 = ink; per drawing `names`
(path), `labels` (place in `class_names`) and `drawer` (a number within the alphabet).
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from medical_transfer.config.images import Images
from medical_transfer.data.decode import Unreadable
from medical_transfer.data.tables import found_frame, text
from medical_transfer.runtime.files import sha256_of
from medical_transfer.types import UserError

SIDE = 105
ARRAYS = ("ink_packed", "names", "labels", "drawer", "class_names")


@dataclass(frozen=True)
class OmniglotReader:
    """Kind `omniglot`: class `<alphabet>/<character>`, ink white on black; drawings of one hand are one group.

    A hand draws each character once, so groups never bind two drawings of a class together.
    """

    images: Images
    packages_folder: Path
    need_labels: bool = True

    @cached_property
    def _file(self) -> Path:
        file = Path(self.images.root or "")
        if not file.is_file():
            raise UserError(f"images.root is {file}, which is no file: images.kind=omniglot expects its .npz file.")
        return file

    @cached_property
    def _arrays(self) -> dict[str, NDArray[Any]]:
        try:
            with np.load(self._file, allow_pickle=False) as archive:
                found = {name: archive[name] for name in ARRAYS if name in archive.files}
        except (OSError, ValueError) as error:
            raise UserError(f"{self._file} is no readable .npz archive without pickled objects: {error}") from error
        if missing := sorted(set(ARRAYS) - set(found)):
            raise UserError(f"{self._file} lacks the arrays {missing}, which images.kind=omniglot expects.")
        self._check(found)
        return found

    def _check(self, found: dict[str, NDArray[Any]]) -> None:
        ink = found["ink_packed"]
        packed = -(-SIDE * SIDE // 8)
        if ink.dtype != np.uint8 or ink.ndim != 2 or ink.shape[1] != packed:
            raise UserError(
                f"ink_packed in {self._file} holds {ink.dtype} of shape {ink.shape}, expected uint8 of shape "
                f"(drawings, {packed}): numpy.packbits of {SIDE} x {SIDE} bits a drawing."
            )
        lengths = {name: len(found[name]) for name in ARRAYS[:4]}
        if len(set(lengths.values())) > 1 or not len(ink):
            raise UserError(f"The arrays in {self._file} have {lengths} rows: one per drawing was expected in each.")

    @cached_property
    def _places(self) -> dict[str, int]:
        return {str(name): place for place, name in enumerate(self._arrays["names"])}

    def find(self) -> pd.DataFrame:
        """One row per drawing, its drawer as group."""
        if len(self._places) < len(self._arrays["names"]):
            raise UserError(f"{self._file} has a name twice: give each drawing one of its own.")
        characters = [str(self._arrays["class_names"][number]) for number in self._arrays["labels"]]
        found = found_frame(self._places, characters)
        hands = zip(characters, self._arrays["drawer"], strict=True)
        found["group_id"] = text(f"{character.split('/')[0]}/{drawer}" for character, drawer in hands)
        return found

    def read(self, path: str) -> NDArray[np.uint8]:
        """One drawing (105, 105), 255 where there is ink."""
        place = self._places.get(path)
        if place is None:
            raise Unreadable("not in the archive")
        bits = np.unpackbits(self._arrays["ink_packed"][place])[: SIDE * SIDE]
        return bits.reshape(SIDE, SIDE) * np.uint8(255)

    def fingerprint(self) -> str:
        """Hash of the file."""
        return sha256_of(self._file)
