"""An order of images that no order of rows can change, and a draw from it: for scores with random parts."""

from __future__ import annotations

import hashlib

import numpy as np

from medical_transfer.transferability.evidence import Floats, Integers


def content_order(rows_NE: Floats, seed: int) -> Integers:
    """Positions of the rows in the order of keyed hashes of their content: the same images come first however given.

    Rows that are equal keep their order, which cannot matter to what only looks at them.
    """
    key = str(seed).encode()
    digests = [hashlib.blake2b(row_E.tobytes(), digest_size=16, key=key).hexdigest() for row_E in rows_NE]
    return np.argsort(np.array(digests), kind="stable").astype(np.int64)


def draw(rows_NE: Floats, *, limit: int, seed: int) -> Integers:
    """At most `limit` positions by the seed and the content of the rows; all of them, as given, where there are fewer.

    Sources that are to meet the same images are drawn by rows that they share.
    """
    return np.arange(len(rows_NE)) if len(rows_NE) <= limit else content_order(rows_NE, seed)[:limit]
