"""Numpy arrays inside a zip archive (.npz): headers first, pixels mapped from disk, nothing unpickled.

A member that is stored as it is gets mapped in place; a compressed one is expanded once into a file without a name,
which the system removes however the process ends. So the memory taken does not grow with the arrays.
"""

from __future__ import annotations

import lzma
import shutil
import struct
import tempfile
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import IO, Any

import numpy as np
from numpy.typing import NDArray

from medical_transfer.runtime.files import explain_full_disk, reserve
from medical_transfer.types import UserError

PIECE_BYTES = 1 << 20

_LOCAL_HEADER = struct.Struct("<26xHH")
"""The fixed part of a zip member's own header ends with the lengths of its name and of its extra field."""

_DAMAGES = (
    ValueError,
    OSError,
    EOFError,
    RuntimeError,  # encrypted, or an unknown compression (NotImplementedError)
    struct.error,
    zipfile.BadZipFile,
    zlib.error,
    lzma.LZMAError,
)


@dataclass(frozen=True)
class ArrayHeader:
    """What numpy's header tells of one array: `start` is where its values begin in the member."""

    shape: tuple[int, ...]
    dtype: np.dtype[Any]
    fortran_order: bool
    start: int

    @property
    def values_bytes(self) -> int:
        """Bytes of all values, in whole numbers of any size."""
        count = 1
        for length in self.shape:
            count *= length
        return count * self.dtype.itemsize


@dataclass(frozen=True)
class ZippedArrays:
    """The arrays of one archive; expanded ones lie in `scratch_folder` (null: the system's place for such files)."""

    file: Path
    scratch_folder: Path | None = None

    @cached_property
    def headers(self) -> dict[str, ArrayHeader]:
        """Header of each array, by name.

        Raises:
            UserError: the file is no zip archive, or one of its headers is damaged.
        """
        with self._open() as archive:
            names = [name for name in archive.namelist() if name.endswith(".npy")]
            return {name.removesuffix(".npy"): _header(archive, name) for name in names}

    def load(self, name: str) -> NDArray[Any]:
        """One small array, whole in memory.

        Raises:
            UserError: it is damaged or holds Python objects.
        """
        with self._open() as archive, archive.open(f"{name}.npy") as member:
            values: NDArray[Any] = np.lib.format.read_array(member, allow_pickle=False)
            return values

    def mapped(self, name: str) -> NDArray[Any]:
        """One array of any size as a read-only memory map; its check sum is verified first.

        Raises:
            UserError: it is damaged, or there is no space to expand it.
        """
        header = self.headers[name]
        with self._open() as archive:
            place = archive.getinfo(f"{name}.npy")
            if place.compress_type == zipfile.ZIP_STORED:
                with archive.open(place) as member:
                    while member.read(PIECE_BYTES):  # at the end zipfile compares the check sum
                        pass
                return _map(self.file, header, _values_offset(self.file, place) + header.start)
            with archive.open(place) as member, tempfile.TemporaryFile(dir=self.scratch_folder) as whole:
                self._expand(member, whole, place.file_size)
                return _map(whole, header, header.start)  # the map keeps the file's content alive

    def _expand(self, member: IO[bytes], whole: IO[bytes], size_bytes: int) -> None:
        with explain_full_disk(self.scratch_folder or Path(tempfile.gettempdir())):
            reserve(whole, size_bytes)
            shutil.copyfileobj(member, whole, PIECE_BYTES)
            whole.flush()

    @contextmanager
    def _open(self) -> Iterator[zipfile.ZipFile]:
        try:
            with zipfile.ZipFile(self.file) as archive:
                yield archive
        except _DAMAGES as error:
            raise UserError(
                f"{self.file} cannot be read as .npz ({error}): expected arrays of numbers and text saved by "
                "numpy.savez, without pickled objects."
            ) from error


def _header(archive: zipfile.ZipFile, name: str) -> ArrayHeader:
    with archive.open(name) as member:
        version = np.lib.format.read_magic(member)
        read = np.lib.format.read_array_header_1_0 if version == (1, 0) else np.lib.format.read_array_header_2_0
        shape, fortran_order, dtype = read(member)
        header = ArrayHeader(shape, dtype, fortran_order, member.tell())
    size = archive.getinfo(name).file_size
    if min(shape, default=0) < 0:
        raise ValueError(f"{name} has the shape {shape}")
    if not dtype.hasobject and size != header.start + header.values_bytes:
        raise ValueError(f"{name} has {size} bytes, its header promises {header.start + header.values_bytes}")
    return header


def _values_offset(file: Path, place: zipfile.ZipInfo) -> int:
    """Where the bytes of a stored member begin in the archive."""
    with file.open("rb") as archive:
        archive.seek(place.header_offset)
        name_bytes, extra_bytes = _LOCAL_HEADER.unpack(archive.read(_LOCAL_HEADER.size))
    return place.header_offset + _LOCAL_HEADER.size + int(name_bytes) + int(extra_bytes)


def _map(file: Path | IO[bytes], header: ArrayHeader, offset: int) -> NDArray[Any]:
    order: Any = "F" if header.fortran_order else "C"
    return np.asarray(np.memmap(file, header.dtype, mode="r", offset=offset, shape=header.shape, order=order))
