"""Files that are either whole or absent, files without a name, and what a full disk says."""

from __future__ import annotations

import errno
import hashlib
import json
import math
import os
import re
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any

import numpy as np
import numpy.typing as npt

from medical_transfer.types import UserError

_FULL = re.compile(rf"os error ({errno.ENOSPC}|{errno.EDQUOT})\b|\d+ requested and \d+ written")
"""What safetensors and numpy say of a full disk, in errors that carry no number."""


@contextmanager
def explain_full_disk(path: Path) -> Iterator[None]:
    """Turn 'no space left' into a sentence that names the place and the way on.

    Raises:
        UserError: where the operating system reports a full disk or an exceeded quota.
    """
    try:
        yield
    except Exception as error:
        if is_full_disk(error):
            raise UserError(
                f"No space left while writing {path}. What was finished before is kept: "
                "free some space and give the same command again; it goes on from there."
            ) from error
        raise


def is_full_disk(error: BaseException | None) -> bool:
    """Whether an error, or one that it was raised from, is a full disk; libraries wrap it, or only tell its text."""
    while error is not None:
        if getattr(error, "errno", None) in (errno.ENOSPC, errno.EDQUOT) or _FULL.search(str(error)):
            return True
        error = error.__cause__ or error.__context__
    return False


@contextmanager
def atomic_path(path: Path) -> Iterator[Path]:
    """Yield a temporary neighbour of `path` to write to; it takes the name of `path` only when the block succeeds."""
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        with explain_full_disk(path):
            yield temporary
            temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)


def take_space(path: Path) -> None:
    """Give a sparse file all its disk space now: a disk that fills under a memory map later kills the process.

    Raises:
        OSError: no space left on the disk.
    """
    with path.open("r+b") as file:
        reserve(file, path.stat().st_size)


def reserve(file: IO[bytes], size_bytes: int, start: int = 0) -> None:
    """Take the disk space of so many bytes of a file from `start` on, where the system can.

    Raises:
        OSError: no space left on the disk.
    """
    if hasattr(os, "posix_fallocate") and size_bytes:
        os.posix_fallocate(file.fileno(), start, size_bytes)


def scratch_array(shape: tuple[int, ...], dtype: npt.DTypeLike, folder: Path) -> npt.NDArray[Any]:
    """A writable array in a file without a name, which the system removes however the process ends.

    It lies on the disk of `folder` (where nothing may be written there: in the system's place for such files), with its
    space taken now; so the system may drop it from memory when it needs the room.

    Raises:
        UserError: no space left on the disk.
    """
    size_bytes = math.prod(shape) * np.dtype(dtype).itemsize
    if not size_bytes:
        return np.empty(shape, dtype)
    place = folder if os.access(folder, os.W_OK) else None
    with explain_full_disk(folder), tempfile.TemporaryFile(dir=place) as file:
        reserve(file, size_bytes)
        return np.asarray(np.memmap(file, dtype, mode="w+", shape=shape))  # the map keeps the file's content alive


def write_json(path: Path, content: Any) -> None:
    """Write `content` as indented JSON, atomically; NaN becomes null, which every JSON reader understands."""
    with atomic_path(path) as temporary:
        temporary.write_text(json.dumps(without_nan(content), indent=2, sort_keys=True) + "\n", encoding="utf-8")


def read_json(path: Path) -> Any:
    """Read a JSON file."""
    return json.loads(path.read_text(encoding="utf-8"))


def without_nan(content: Any) -> Any:
    """Replace NaN and infinities, which JSON does not know, by null."""
    match content:
        case dict():
            return {key: without_nan(value) for key, value in content.items()}
        case list() | tuple():
            return [without_nan(value) for value in content]
        case float() if not math.isfinite(content):
            return None
    return content


def sha256_of(path: Path) -> str:
    """SHA-256 of a file in hexadecimal, read in pieces."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
