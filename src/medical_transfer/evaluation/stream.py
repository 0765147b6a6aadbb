"""New images through a model as they are decoded: threads read a little ahead, memory does not grow with the images.

Shapes: n pictures of S x S pixels in a batch; N rows in a part.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from itertools import islice
from typing import NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from medical_transfer.data.ahead import in_order
from medical_transfer.data.audit import UNUSABLE, reason_of, will_be_read
from medical_transfer.data.decode import decode
from medical_transfer.data.new_images import NewImages, in_words_of
from medical_transfer.evaluation.new_table import Seen
from medical_transfer.models.runner import CHUNK
from medical_transfer.runtime.cores import cores
from medical_transfer.runtime.progress import progress

PIECE = 16
"""Images that a thread decodes at a time: enough of them wait while a batch is in the network."""

Picture = NDArray[np.uint8] | str
"""Pixels (S, S, 3), or the reason why there are none."""


class Part(NamedTuple):
    """Some rows, why some of them were not seen, and what was seen of the others."""

    rows: pd.DataFrame
    reasons_N: list[str | None]
    seen: Seen


def parts_of(
    new: NewImages,
    see: Callable[[NDArray[np.uint8]], Seen],
    *,
    classes: int,
    part_images: int,
    first: int = 0,
    features: bool = False,
) -> Iterator[Part]:
    """See all rows from part `first` on, in parts of `part_images` rows.

    Args:
        new: rows and their reader.
        see: a model on a batch of pictures (n, S, S, 3).
        classes: of the model.
        part_images: rows of a part.
        first: number of the first part that is wanted.
        features: keep what the last layer saw.
    """
    begin = first * part_images
    pictures = progress(_pictures(new, begin), "Predicting", total=len(new.rows) - begin)
    for start in range(begin, len(new.rows), part_images):
        rows = new.rows.iloc[start : start + part_images]
        reasons_N, seen = _seen(islice(pictures, len(rows)), see)
        yield Part(rows, reasons_N, Seen.joined(seen, classes, features=features))


def _seen(pictures: Iterator[Picture], see: Callable[[NDArray[np.uint8]], Seen]) -> tuple[list[str | None], list[Seen]]:
    """Why pictures are missing, and the others in batches."""
    reasons_N: list[str | None] = []
    waiting: list[NDArray[np.uint8]] = []
    seen: list[Seen] = []
    for picture in pictures:
        if isinstance(picture, str):
            reasons_N.append(picture)
            continue
        reasons_N.append(None)
        waiting.append(picture)
        if len(waiting) == CHUNK:
            seen.append(see(np.stack(waiting)))
            waiting.clear()
    if waiting:
        seen.append(see(np.stack(waiting)))
    return reasons_N, seen


def _pictures(new: NewImages, begin: int) -> Iterator[Picture]:
    """Pixels or reason of each row from `begin` on, in order."""
    paths, given = new.rows["path"].tolist(), new.rows["reason"].tolist()
    read_N = will_be_read(new.rows) & new.rows["status"].eq("ok").to_numpy(dtype=bool)

    def piece(start: int) -> list[Picture]:
        rows = range(start, min(start + PIECE, len(paths)))
        return [_picture(new, paths[row]) if read_N[row] else str(given[row]) for row in rows]

    for pictures in in_order(piece, range(begin, len(paths), PIECE), workers=new.images.workers or cores()):
        yield from pictures


def _picture(new: NewImages, path: str) -> Picture:
    try:
        return decode(new.reader.read(path), new.images, hashed=False).pixels_SS3
    except UNUSABLE as error:
        return in_words_of(new.block, reason_of(error))
