"""What a search may see: no test image at all, and under each seed validation images of its own.

Where splits are drawn, every seed of a study would draw other test images, and those of one seed would be among the
validation images that another one chooses by. So one seed draws the test images of a search for all of them.
"""

from __future__ import annotations

import numpy as np
import pandas as pd

from medical_transfer.runtime.seeds import generator
from medical_transfer.splits.assign import draw_splits

REASON = "a test image, which a search must not see"


def without_test(manifest: pd.DataFrame) -> pd.DataFrame:
    """The manifest with its test images excluded: they are neither predicted nor measured."""
    hidden = manifest["split"] == "test"
    seen = manifest.copy()
    seen.loc[hidden, "split"] = "excluded"
    seen.loc[hidden, "reason"] = REASON
    return seen


def other_validation(manifest: pd.DataFrame, seed: int) -> pd.DataFrame:
    """The manifest with training and validation images divided anew, as many groups to validation; test stays.

    Raises:
        UserError: where a class has too few groups.
    """
    pool = (manifest["split"].isin(("train", "val")) & (manifest["status"] == "ok")).to_numpy(dtype=bool)
    rows = manifest[pool]
    share = float((rows["split"] == "val").mean())
    groups_N = pd.factorize(rows["group_id"])[0].astype(np.int64)
    labels_N = rows["label"].to_numpy(dtype=object)
    drawn_N = draw_splits(groups_N, labels_N, {"train": 1 - share, "val": share}, generator(seed, "search/validation"))
    divided = manifest.copy()
    divided.loc[pool, "split"] = drawn_N
    return divided
