"""DICOM files below a folder, named by a table; no path and no identifier of a patient leaves this module in clear.

A path is shown as a pseudonym (`pseudonyms`) and so is a group; frames of one file are `<pseudonym>/1`, `/2`...
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from medical_transfer.config.images import Images
from medical_transfer.data.ahead import in_order
from medical_transfer.data.decode import Unreadable
from medical_transfer.data.dicom_facts import FileFacts, facts_of
from medical_transfer.data.dicom_file import opened
from medical_transfer.data.dicom_pixels import frame_pixels
from medical_transfer.data.dicom_rows import fact_columns, tell, warn_of_divided, without_identifiers
from medical_transfer.data.folders import (
    Places,
    existing_folder,
    fingerprint,
    name_below,
    places_below,
    status_inside,
)
from medical_transfer.data.pseudonyms import pseudonym, secret_key
from medical_transfer.data.tables import NO_PATH, NO_ROW, found_frame, read_table, text
from medical_transfer.runtime.cores import cores
from medical_transfer.runtime.progress import progress
from medical_transfer.runtime.provenance import in_project
from medical_transfer.types import UserError


@dataclass(frozen=True)
class DicomReader:
    """Kind `dicom`: files below `images.root`, whatever their suffix; `images.table` gives labels.

    A `path` of the table is a file, or a folder whose files all have the row's label. Each frame of a file is a row.
    The group is the patient of the header (`images.dicom.group`), unless the table has one. Without labels (prediction)
    the table may be absent: then every file below the root is taken.
    """

    images: Images
    packages_folder: Path
    need_labels: bool = True

    @cached_property
    def _root(self) -> Path:
        return existing_folder(self.images.root, "images.root")

    @cached_property
    def _key(self) -> bytes:
        return secret_key(in_project(self.images.dicom.salt))

    @cached_property
    def _table(self) -> Path | None:
        return None if self.images.table is None else Path(os.path.abspath(self.images.table))  # noqa: PTH100 - no links

    @cached_property
    def _below(self) -> Places:
        below = places_below(self._root)
        return below if self._table is None else below.without(self._table)

    @cached_property
    def _listed(self) -> pd.DataFrame:
        """Rows of files, names in clear: those of the table, folders resolved, then files that it does not name."""
        if self._table is None:
            if self.need_labels:
                raise UserError("images.kind=dicom needs images.table, a CSV or Parquet file with columns path,label.")
            return found_frame(self._below).assign(reason=text([None] * len(self._below)))
        frame = read_table(self._table, need_labels=self.need_labels, quote_cells=False)
        names = [self._names(path) for path in frame["path"]]
        frame = frame.iloc[np.repeat(np.arange(len(frame)), [len(found) for found in names])].reset_index(drop=True)
        listed = [(name, row) for row, found in enumerate(names, start=1) for name in found]
        known = {name for name, _ in listed}
        unlisted = [path for path in self._below if path not in known]
        frame = frame.reindex(range(len(frame) + len(unlisted)))
        frame["path"] = text([*(name or f"row {row} of the table" for name, row in listed), *unlisted])
        reasons = [*(None if name else NO_PATH for name, _ in listed), *(NO_ROW for _ in unlisted)]
        frame.insert(5, "reason", text(reasons))
        return frame

    def _names(self, path: Any) -> Sequence[str | None]:
        """Files that one cell of the table names."""
        if not isinstance(path, str) or not path.strip():
            return [None]
        name = name_below(self._root, path, self._below)
        if name in self._below or not (self._root / name).is_dir():
            return [name]
        inside = "" if name == "." else f"{name}/"
        return [file for file in self._below if file.startswith(inside)] or [name]

    @cached_property
    def _names_of(self) -> dict[str, str]:
        """Pseudonym of each file -> its name below the root."""
        read = self._listed[self._listed["reason"] != NO_PATH]
        return {pseudonym(self._key, "path", name): name for name in read["path"]}

    @cached_property
    def _facts(self) -> dict[str, FileFacts]:
        """Facts of the files that will be read, by name."""
        names = self._listed["path"][self._listed["reason"].isna()].drop_duplicates()
        self._key  # noqa: B018 - made once, before several threads want it
        told = in_order(self._fact, names, workers=self.images.workers or cores())
        return dict(zip(names, progress(told, "Reading headers", total=len(names)), strict=True))

    def _fact(self, name: str) -> FileFacts:
        try:
            with self._open(name) as file:
                return facts_of(opened(file, self.images), self._key, self.images.dicom)
        except (Unreadable, OSError, ValueError):  # `read` says why
            return FileFacts()

    def _open(self, name: str) -> BinaryIO:
        place = self._below.get(name, self._root / name)
        status_inside(self._root, place)
        return place.open("rb")

    def find(self) -> pd.DataFrame:
        """One row per frame, in the table's order; then one row per file below the root that the table does not name.

        Own columns: those of the table, and `dicom_modality`, `dicom_view`, `dicom_orientation` where a file tells
        them. A column of the table that repeats identifiers of its files is left out, and the log names it.
        """
        if self._listed.empty:
            raise UserError(f"{self._root} holds no files: set images.root to the folder of your DICOM files.")
        facts = [self._facts.get(name, FileFacts()) for name in self._listed["path"]]
        frame = without_identifiers(self._listed, facts)
        frame = frame.assign(**fact_columns(facts))
        warn_of_divided(frame["group_id"], facts)
        frame["group_id"] = text(map(self._group, frame["group_id"], facts))
        frame["path"] = text(map(self._shown, frame["path"], frame["reason"]))
        tell(facts, self.images.dicom)
        return _one_row_per_frame(frame, [told.frames for told in facts])

    def _shown(self, name: str, reason: Any) -> str:
        return name if reason == NO_PATH else pseudonym(self._key, "path", name)

    def _group(self, given: Any, told: FileFacts) -> str | None:
        """Group of the table, as a pseudonym too, else of the header."""
        return f"table-{pseudonym(self._key, 'group', given)}" if isinstance(given, str) else told.group

    def read(self, path: str) -> NDArray[np.uint8]:
        """One frame, grey or RGB, windowed; `dicom_pixels.frame_pixels` says how."""
        name, _, number = path.partition("/")
        if name not in self._names_of:
            raise Unreadable("not among the files that were found")
        with self._open(self._names_of[name]) as file:
            return frame_pixels(opened(file, self.images), int(number or 1) - 1, self.images)

    def originals(self) -> dict[str, str]:
        """Pseudonym of each file, as paths begin with it, -> its name below the root; for the owner of the salt."""
        return dict(self._names_of)

    def fingerprint(self) -> str:
        """Hash over the content of all files, named or not, read in threads."""
        places = ((shown, self._below.get(name, self._root / name)) for shown, name in self._names_of.items())
        return fingerprint(self._root, places, self.images.workers)


def _one_row_per_frame(frame: pd.DataFrame, frames: list[int]) -> pd.DataFrame:
    rows = frame.iloc[np.repeat(np.arange(len(frame)), frames)].reset_index(drop=True)
    rows["path"] = text(
        f"{path}/{number}" if count > 1 else path
        for path, count in zip(frame["path"], frames, strict=True)
        for number in range(1, count + 1)
    )
    return rows
