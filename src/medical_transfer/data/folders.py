"""Files below a root: all of them listed, none read from outside, their content hashed."""

from __future__ import annotations

import hashlib
import os
import stat
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

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


def places_below(root: Path) -> dict[str, Path]:
    """All files below `root`, sorted: path relative to it, as text that any table can hold -> place.

    Links to folders are not followed but listed like files, and so are folders that must not be listed.
    A byte of a name that is no UTF-8 is shown as a backslash escape.
    """
    closed: list[str] = []
    places: list[Path] = []
    for folder, subfolders, files in os.walk(root, onerror=lambda error: closed.append(error.filename)):
        inside = Path(folder)
        links = [name for name in subfolders if (inside / name).is_symlink()]
        places += [inside / name for name in (*files, *links)]
    places += [Path(name) for name in closed]
    return {_shown(place.relative_to(root)): place for place in sorted(places)}


def read_inside(root: Path, place: Path, max_pixels: int) -> bytes:
    """Bytes of a regular file that lies below `root` also after all links are followed.

    Raises:
        Unreadable: it leads out of the root, is no regular file, or is larger than any image of `max_pixels`.
        OSError: it is not there or must not be read.
    """
    kind = _status_inside(root, place)
    most_bytes = max_pixels * BYTES_PER_PIXEL + HEADER_BYTES
    if kind.st_size > most_bytes:
        raise Unreadable(f"{kind.st_size} bytes, more than any image of images.max_pixels={max_pixels} needs")
    return place.read_bytes()


def fingerprint(root: Path, places: Mapping[str, Path], workers: int | None) -> str:
    """Hash over paths and contents; what cannot be read counts as such, so that mending it changes the hash."""

    def content(place: Path) -> str:
        try:
            _status_inside(root, place)
            return sha256_of(place)
        except (OSError, ValueError, Unreadable) as error:
            return type(error).__name__

    digest = hashlib.sha256()
    with ThreadPoolExecutor(workers or cores()) as pool:
        for path, found in zip(places, pool.map(content, places.values()), strict=True):
            digest.update(f"{path}\0{found}\0".encode())
    return digest.hexdigest()


def _status_inside(root: Path, place: Path) -> os.stat_result:
    real = Path(os.path.realpath(place))  # resolve() raises RuntimeError on a loop of links
    if not real.is_relative_to(os.path.realpath(root)):
        raise Unreadable("leads out of the root folder")
    status = place.stat()
    if stat.S_ISDIR(status.st_mode):
        raise Unreadable("a folder that is linked or closed, and therefore not searched")
    if not stat.S_ISREG(status.st_mode):
        raise Unreadable("not a regular file")
    return status


def _shown(path: Path) -> str:
    return path.as_posix().encode("utf-8", "surrogateescape").decode("utf-8", "backslashreplace")
