"""What a search may see of a manifest."""

from __future__ import annotations

import numpy as np
import pandas as pd

from medical_transfer.splits.leakage import check_no_leak
from medical_transfer.studies.held_out import other_validation, without_test


def manifest() -> pd.DataFrame:
    """60 images of 30 patients in two classes; 8 patients to validate on, 6 to test on, and two rows of no split."""
    patient_N = np.repeat(np.arange(30), 2)
    split_G = np.array(["val"] * 8 + ["test"] * 6 + ["train"] * 16)
    rows = pd.DataFrame(
        {
            "image_id": [f"i{number}" for number in range(60)],
            "label": np.where(patient_N % 2 == 0, "a", "b"),
            "group_id": [f"g{number}" for number in patient_N],
            "split": split_G[patient_N],
            "status": "ok",
            "reason": pd.array([None] * 60, dtype="string"),
        }
    )
    rows.loc[58, ["status", "split"]] = ["quarantined", "excluded"]
    rows.loc[59, "split"] = "excluded"
    return rows


def test_test_images_are_excluded_and_nothing_else_changes():
    before = manifest()
    seen = without_test(before)
    hidden = before["split"] == "test"
    assert set(seen.loc[hidden, "split"]) == {"excluded"}
    assert seen.loc[hidden, "reason"].str.contains("must not see").all()
    pd.testing.assert_frame_equal(seen[~hidden], before[~hidden])
    assert (before["split"] == "test").sum() == 12, "the one that was given stays as it is"


def test_validation_is_drawn_anew_by_groups_and_test_stays():
    before = manifest()
    drawn = [other_validation(before, seed) for seed in range(4)]
    for each in drawn:
        check_no_leak(each)
        fixed = ~before["split"].isin(["train", "val"])
        pd.testing.assert_frame_equal(each[fixed], before[fixed])
        counts = each.groupby(["split", "label"]).size()
        assert counts["val", "a"] == counts["val", "b"] == 8
    validated = {tuple(each.loc[each["split"] == "val", "image_id"]) for each in drawn}
    assert len(validated) == 4
    pd.testing.assert_frame_equal(other_validation(before, 2), drawn[2])
