"""What the bytes of a DICOM file really hold, before anything is decoded: header lies are refused here.

Sizes in bytes and pixels. A file is at hand as a seekable binary stream. Sources: PS3.5 section 8 and annex A
(transfer syntaxes, encapsulation); ISO/IEC 10918-1 B.2.2 (JPEG's SOF), 14495-1 (JPEG-LS), 15444-1 A.5.1 (JPEG 2000's
SIZ).
"""

from __future__ import annotations

import io
import struct
import zlib
from typing import BinaryIO

from medical_transfer.data.decode import Unreadable

ITEM, DELIMITER = (0xFFFE, 0xE000), (0xFFFE, 0xE0DD)
NO_FRAME_HEADER = {0xC4, 0xC8, 0xCC}
"""Markers between SOF0 and SOF15 that start no frame: Huffman tables, JPG, arithmetic coding."""
SOF55 = 0xF7
"""Start of frame of JPEG-LS."""


def inflated(file: BinaryIO, most_bytes: int) -> BinaryIO:
    """Content of a raw deflate stream (PS3.5 A.5) from the file's position on, if it is no more than `most_bytes`.

    Raises:
        Unreadable: it is larger, or damaged.
    """
    inflater = zlib.decompressobj(-zlib.MAX_WBITS)
    try:
        content = inflater.decompress(file.read(), most_bytes + 1)
    except zlib.error:
        raise Unreadable("damaged: its deflated content cannot be expanded") from None
    if len(content) > most_bytes:
        raise Unreadable("expands to more bytes than any image of images.max_pixels needs")
    if not inflater.eof:
        raise Unreadable("truncated: its deflated content ends early")
    return io.BytesIO(content)


def check_fragments(file: BinaryIO, *, little_endian: bool) -> int:
    """Walk the items of encapsulated pixel data from the file's position on; the position is as before afterwards.

    Returns:
        Number of fragments, without the table of offsets that comes first.

    Raises:
        Unreadable: the file ends before the last of them, or something else stands between them.
    """
    start = file.tell()
    end = file.seek(0, io.SEEK_END)
    file.seek(start)
    items = 0
    while True:
        head = file.read(8)
        if len(head) < 8:
            raise Unreadable("truncated: the pixel data end early")
        group, element, length = struct.unpack("<HHL" if little_endian else ">HHL", head)
        if (group, element) == DELIMITER:
            file.seek(start)
            return max(items - 1, 0)
        if (group, element) != ITEM:
            raise Unreadable("damaged: the items of the pixel data cannot be followed")
        if file.tell() + length > end:
            raise Unreadable("truncated: the pixel data end early")
        file.seek(length, io.SEEK_CUR)
        items += 1


def encoded_size(frame: bytes) -> tuple[int, int] | None:
    """Width and height that a JPEG, JPEG-LS or JPEG 2000 frame gives for itself; null where it is none of them."""
    if frame.startswith(b"\xff\xd8"):
        return _jpeg_size(frame)
    start = frame.find(b"\xff\x4f\xff\x51", 0, 4096)  # also behind the boxes of a JP2 file
    if start >= 0 and len(frame) >= start + 24:
        right, lower, left, upper = struct.unpack(">4L", frame[start + 8 : start + 24])
        return right - left, lower - upper
    return None


def _jpeg_size(frame: bytes) -> tuple[int, int] | None:
    place = 2
    while place + 9 <= len(frame):
        if frame[place] != 0xFF:
            return None
        marker = frame[place + 1]
        if marker == 0xFF:  # a fill byte
            place += 1
        elif (0xC0 <= marker <= 0xCF and marker not in NO_FRAME_HEADER) or marker == SOF55:
            height, width = struct.unpack(">HH", frame[place + 5 : place + 9])
            return width, height
        else:
            place += 2 + struct.unpack(">H", frame[place + 2 : place + 4])[0]
    return None
