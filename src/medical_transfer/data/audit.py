"""The audit: every found file read and decoded once, its facts in a row, its pixels in a slot."""

from __future__ import annotations

import hashlib
from itertools import islice
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from medical_transfer.config.images import Images
from medical_transfer.data.ahead import in_order
from medical_transfer.data.decode import Unreadable, decode, one_line
from medical_transfer.data.manifest import BEYOND_LIMIT, CONFLICT, DUPLICATE, usable_rows
from medical_transfer.data.readers import Reader
from medical_transfer.data.tables import NO_PATH, NO_ROW, TEXT
from medical_transfer.runtime.cores import cores
from medical_transfer.runtime.progress import progress
from medical_transfer.types import AUDIT_COLUMNS

UNREAD = (DUPLICATE, CONFLICT, BEYOND_LIMIT, NO_ROW, NO_PATH)
"""Rows whose reason begins so are not read: nobody will use their pixels."""

UNUSABLE = (Unreadable, OSError, ValueError, MemoryError)
"""What reading or decoding one image may raise: a fact about that image, and the others go on."""

FACTS_AT_ONCE = 4096
"""So many rows of facts are gathered as objects before they become columns."""


class Facts(NamedTuple):
    """What reading one file told; `failure` is the reason where it could not be used."""

    sha256: str | None = None
    phash: str | None = None
    width: int | None = None
    height: int | None = None
    mode: str | None = None
    failure: str | None = None


def will_be_read(rows: pd.DataFrame) -> NDArray[np.bool_]:
    """Which rows the audit reads and decodes, shape (N,)."""
    return ~rows["reason"].str.startswith(UNREAD, na=False).to_numpy(dtype=bool)


def audit(
    found_rows: pd.DataFrame,
    reader: Reader,
    images: Images,
    pixels_NSS3: NDArray[np.uint8],
    *,
    need_labels: bool = True,
) -> pd.DataFrame:
    """Read and decode the rows of `manifest_rows`; row i's pixels go to slot i of `pixels_NSS3`.

    A file that cannot be read or decoded is quarantined with the reason, whatever was known before, and so (with
    `need_labels`) are files of the same bytes and different labels; other rows keep their status and reason.
    Duplicate, unlisted and passed-over rows are not read: they have no facts, and their slots stay as they are. Memory
    does not grow with N but for the rows themselves.

    Returns:
        `types.AUDIT_COLUMNS`, then the rows' own columns, in the rows' order.
    """

    def examine(slot: int) -> Facts:
        return _examine(reader, paths[slot], images, pixels_NSS3[slot])

    paths = found_rows["path"].tolist()
    slots = np.flatnonzero(will_be_read(found_rows))
    results = in_order(examine, slots.tolist(), workers=images.workers or cores())
    shown = iter(progress(results, "Reading images", total=len(slots)))
    parts = [_columns(part) for part in iter(lambda: list(islice(shown, FACTS_AT_ONCE)), [])]
    told = pd.concat([_columns([]), *parts]).set_axis(found_rows.index[slots])
    frame = _with_facts(found_rows, told.reindex(found_rows.index))
    if need_labels:
        _quarantine_contradictions(frame, pixels_NSS3)
    return frame


def _examine(reader: Reader, path: str, images: Images, slot_SS3: NDArray[np.uint8]) -> Facts:
    digest = None
    try:
        raw = reader.read(path)
        digest = _content_hash(raw)
        picture = decode(raw, images)
    except UNUSABLE as error:
        return Facts(sha256=digest, failure=reason_of(error))
    slot_SS3[:] = picture.pixels_SS3
    return Facts(digest, picture.phash, picture.width, picture.height, picture.mode)


def reason_of(error: Exception) -> str:
    """What stands in the row of an image that could not be read or decoded."""
    match error:
        case Unreadable():
            return str(error)
        case FileNotFoundError():
            return "file not found"
        case PermissionError():
            return "no permission to read"
        case MemoryError():
            return "too large for the memory of this machine"
        case OSError():  # its full text would name the place
            return f"cannot be read: {error.strerror or one_line(error)}"
    return f"cannot be read: {one_line(error)}"


def _content_hash(raw: bytes | NDArray[Any]) -> str:
    """Sha256 of a file's bytes, or of an array's type, shape and bytes."""
    if isinstance(raw, bytes):
        return hashlib.sha256(raw).hexdigest()
    return hashlib.sha256(f"{raw.dtype.str}{raw.shape}".encode() + raw.tobytes()).hexdigest()


def _columns(facts: list[Facts]) -> pd.DataFrame:
    """Facts of some files as typed columns, which take a fraction of the memory of as many objects."""
    told = pd.DataFrame(facts, columns=Facts._fields)
    return told.astype({name: "Int64" if name in ("width", "height") else TEXT for name in Facts._fields})


def _with_facts(rows: pd.DataFrame, told: pd.DataFrame) -> pd.DataFrame:
    frame = rows.copy()
    for column in ("sha256", "phash", "mode", "width", "height"):
        frame[column] = told[column]
    frame["reason"] = told["failure"].fillna(rows["reason"])
    frame.loc[told["failure"].notna(), "status"] = "quarantined"
    own = [column for column in rows.columns if column not in AUDIT_COLUMNS]
    return frame[[*AUDIT_COLUMNS, *own]]


def _quarantine_contradictions(frame: pd.DataFrame, pixels_NSS3: NDArray[np.uint8]) -> None:
    """Mark, in place, the used rows whose bytes stand under another label too; their slots become black."""
    used = frame[usable_rows(frame) & frame["label"].notna()]
    labels_of_each = used.groupby("sha256")["label"].transform("nunique")
    for _, same in used[labels_of_each > 1].groupby("sha256"):
        for label, rows in same.groupby("label"):
            other = same[same["label"] != label].iloc[0]
            reason = f"labelled {label!r}, but the same bytes as {other['path']}, labelled {other['label']!r}"
            frame.loc[rows.index, ["status", "reason"]] = ("quarantined", reason)
            pixels_NSS3[frame.index.get_indexer(rows.index)] = 0
