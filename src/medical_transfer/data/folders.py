"""Files below a root: all of them listed, none read from outside, their content hashed."""

from __future__ import annotations

import hashlib
import os
import stat
from collections.abc import Container, Iterable, Iterator, Mapping
from pathlib import Path

from medical_transfer.data.ahead import in_order
from medical_transfer.data.decode import Unreadable
from medical_transfer.runtime.cores import cores
from medical_transfer.runtime.files import sha256_of
from medical_transfer.types import UserError

BYTES_PER_PIXEL = 8
"""Sixteen-bit RGBA without compression: a file of more bytes per allowed pixel is not read into memory."""
HEADER_BYTES = 1 << 20


def existing_folder(folder: Path | None, parameter: str) -> Path:
    """Absolute form of a folder that is there.

    Raises:
        UserError: it is missing or no folder.
    """
    found = Path(os.path.abspath(folder or ""))  # noqa: PTH100 - resolve() would follow the user's own links
    if not found.is_dir():
        state = "is a file" if found.exists() else "does not exist"
        raise UserError(f"{parameter} is {found}, which {state}: set it to the folder of your images.")
    return found


class Places(Mapping[str, Path]):
    """Path relative to a root, as text that any table can hold -> place; of 100,000 files only the text is kept."""

    def __init__(self, root: Path, names: Iterable[str]) -> None:
        self._root = root
        self._name_of = {_shown(name): name for name in names}

    def __getitem__(self, path: str) -> Path:
        return self._root / self._name_of[path]

    def __contains__(self, path: object) -> bool:
        return path in self._name_of

    def __iter__(self) -> Iterator[str]:
        return iter(self._name_of)

    def __len__(self) -> int:
        return len(self._name_of)

    def without(self, place: Path) -> Places:
        """All places but one."""
        return Places(self._root, (name for name in self._name_of.values() if self._root / name != place))


def places_below(root: Path) -> Places:
    """All files below `root`, sorted folder by folder.

    Links to folders are not followed but listed like files, and so are folders that must not be listed.
    A byte of a name that is no UTF-8 is shown as a backslash escape.
    """
    closed: list[str] = []
    names: list[str] = []
    for folder, subfolders, files in os.walk(root, onerror=lambda error: closed.append(error.filename)):
        inside = Path(folder)
        links = [name for name in subfolders if (inside / name).is_symlink()]
        above = "" if inside == root else f"{inside.relative_to(root)}{os.sep}"
        names += [above + name for name in (*files, *links)]
    names += [str(Path(folder).relative_to(root)) for folder in closed]
    names.sort(key=lambda name: name.replace(os.sep, "\0"))  # as paths compare: part by part
    return Places(root, names)


def read_inside(root: Path, place: Path, max_pixels: int) -> bytes:
    """Bytes of a regular file that lies below `root` also after all links are followed.

    Raises:
        Unreadable: it leads out of the root, is no regular file, or is larger than any image of `max_pixels`.
        OSError: it is not there or must not be read.
    """
    kind = status_inside(root, place)
    most_bytes = max_pixels * BYTES_PER_PIXEL + HEADER_BYTES
    if kind.st_size > most_bytes:
        raise Unreadable(f"{kind.st_size} bytes, more than any image of images.max_pixels={max_pixels} needs")
    return place.read_bytes()


def name_below(root: Path, path: str, known: Container[str]) -> str:
    """One spelling per file: relative to the root where the file is named below it, else as given.

    A backslash separates folders, as Windows writes it, unless a file of `known` has it in its name.
    """
    place = Path(os.path.normpath(root / path))
    found = place.relative_to(root).as_posix() if place.is_relative_to(root) else path
    return name_below(root, found.replace("\\", "/"), known) if "\\" in found and found not in known else found


def fingerprint(root: Path, places: Iterable[tuple[str, Path]], workers: int | None) -> str:
    """Hash over paths and contents; what cannot be read counts as such, so that mending it changes the hash."""

    def line(named: tuple[str, Path]) -> str:
        path, place = named
        try:
            status_inside(root, place)
            content = sha256_of(place)
        except (OSError, ValueError, Unreadable) as error:
            content = type(error).__name__
        return f"{path}\0{content}\0"

    digest = hashlib.sha256()
    for told in in_order(line, places, workers=workers or cores()):
        digest.update(told.encode())
    return digest.hexdigest()


def status_inside(root: Path, place: Path) -> os.stat_result:
    """Facts about a regular file that lies below `root` also after all links are followed.

    Raises:
        Unreadable: it leads out of the root, or is no regular file.
        OSError: it is not there.
    """
    real = Path(os.path.realpath(place))  # resolve() raises RuntimeError on a loop of links
    if not real.is_relative_to(os.path.realpath(root)):
        raise Unreadable("leads out of the root folder")
    status = place.stat()
    if stat.S_ISDIR(status.st_mode):
        raise Unreadable("a folder that is linked or closed, and therefore not searched")
    if not stat.S_ISREG(status.st_mode):
        raise Unreadable("not a regular file")
    return status


def _shown(name: str) -> str:
    shown = name.encode("utf-8", "surrogateescape").decode("utf-8", "backslashreplace").replace(os.sep, "/")
    return name if shown == name else shown  # one text in memory, not two
