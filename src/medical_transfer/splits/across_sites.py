"""Images of one site that stand at the other too: a leak that no split within a site can prevent.

Legend: N images of the first site, M of the second, T side of a thumbnail, P pairs.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from medical_transfer.config.split import SplitConfig
from medical_transfer.splits.groups import Ints, candidate_pairs, verify_pairs

_EXAMPLES = 10


@dataclass(frozen=True, slots=True, eq=False)
class Looks:
    """What near-duplicates are judged by: phash (N,) 64-bit perceptual hashes, thumbnails (N, T, T) grey."""

    phash: NDArray[np.uint64]
    thumbnails: NDArray[np.uint8]


def pairs_between(source: Looks, target: Looks, config: SplitConfig) -> Ints:
    """Near-duplicates (P, 2) as row of the first and row of the second site, by the rule that groups follow.

    Nothing is searched where `config.near_duplicates` is off. Of a crowd of more than `groups.CROWD` images with one
    hash only the first is compared, so that the pairs are then fewer than there are.
    """
    if not config.near_duplicates or not len(source.phash) or not len(target.phash):
        return np.empty((0, 2), dtype=np.int64)
    count = len(source.phash)
    small_NTT = np.concatenate([source.thumbnails, target.thumbnails])
    pairs_P2, mirror_P = candidate_pairs(np.concatenate([source.phash, target.phash]), small_NTT, config)
    across_P = (pairs_P2 < count).sum(axis=1) == 1
    pairs_P2, mirror_P = pairs_P2[across_P], mirror_P[across_P]
    kept_P = verify_pairs(pairs_P2, small_NTT, mirror_P) >= config.pixel_correlation
    return np.unique(pairs_P2[kept_P] - [0, count], axis=0)


def across_sites(source: pd.DataFrame, target: pd.DataFrame, pairs_P2: Ints, *, searched: bool) -> dict[str, Any]:
    """What the two sites share, ready for JSON; `source` and `target` are the examined rows that the pairs count.

    `splits` counts pairs by the split of the first and that of the second image. `searched` says whether pairs were
    looked for at all.
    """
    one, other = (frame.iloc[rows_P] for frame, rows_P in ((source, pairs_P2[:, 0]), (target, pairs_P2[:, 1])))
    splits: dict[str, Counter[str]] = {}
    for first, second in zip(one["split"], other["split"], strict=True):
        splits.setdefault(str(first), Counter())[str(second)] += 1
    examples = zip(one["path"].head(_EXAMPLES), other["path"].head(_EXAMPLES), strict=True)
    return {
        "searched": searched,
        "pairs": len(pairs_P2),
        "source_images": int(one["image_id"].nunique()),
        "target_images": int(other["image_id"].nunique()),
        "source_groups": int(one["group_id"].nunique()),
        "target_groups": int(other["group_id"].nunique()),
        "splits": {split: dict(counts) for split, counts in splits.items()},
        "examples": [[str(first), str(second)] for first, second in examples],
    }
