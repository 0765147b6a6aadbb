from __future__ import annotations

import hashlib
import json

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from medical_transfer.config.split import SplitConfig
from medical_transfer.splits.assign import assign_splits
from medical_transfer.splits.groups import NearDuplicates
from medical_transfer.splits.leakage import check_no_leak, example_pairs, leakage_report, split_hash
from medical_transfer.types import UserError


@pytest.fixture
def manifest():
    """Six images that are fine and a broken one in their midst, by hand."""
    return pd.DataFrame(
        {
            "image_id": ["i0", "i1", "i2", "broken", "i3", "i4", "i5"],
            "path": ["0.png", "1.png", "2.png", "broken.png", "3.png", "4.png", "5.png"],
            "label": ["no", "no", "yes", "yes", "yes", "no", None],
            "group_id": ["g0", "g0", "g0", None, "g1", "g2", "g2"],
            "split": ["train", "train", "train", None, "val", "test", "excluded"],
            "status": ["ok", "ok", "ok", "quarantined", "ok", "ok", "ok"],
            "phash": ["0", "1", "2", None, "3", "4", "5"],
        }
    )


@pytest.fixture
def duplicates():
    """0-1 upright copies, 1-2 mirrored copies of other labels, 4-5 copies by hash and flip; 0-3 and 3-4 look-alikes."""
    return NearDuplicates(
        pairs=np.array([[0, 1], [0, 3], [3, 4], [4, 5], [1, 2], [4, 5]]),
        mirror=np.array([0, 0, 0, 0, 1, 3]),
        correlation=np.array([0.99, 0.3, 0.5, 0.8, 0.95, 0.9]),
        kept=np.array([True, False, False, True, True, True]),
        given_group=np.array([0, 1, 2, 3, 4, 5]),
        group=np.array([0, 0, 0, 1, 2, 2]),
    )


def test_report_by_hand(manifest, duplicates):
    report = leakage_report(manifest, duplicates, given_splits=True)
    assert report == {
        "images": 7,
        "quarantined": 1,
        "excluded": 1,
        "groups": {
            "given": 6,
            "perceptual_hash_only": 2,  # {0, 1, 3, 4, 5} and {2}
            "after_pixel_check": 4,  # {0, 1}, {2}, {3}, {4, 5}
            "with_mirrored": 3,
            "of_several_images": 2,
            "largest": 3,
            "images_with_a_near_duplicate": 5,
        },
        "pairs": {"candidates": 6, "kept_together": 4, "let_apart": 2, "mirrored_kept_together": 2},
        "cross_label_pairs": {"count": 1, "examples": [["1.png", "2.png"]], "labels": [["no", "yes"]]},
        "splits": {
            "train": {"images": 3, "groups": 1, "classes": {"no": 2, "yes": 1}},
            "val": {"images": 1, "groups": 1, "classes": {"yes": 1}},
            "test": {"images": 1, "groups": 1, "classes": {"no": 1}},
        },
        "given_splits": True,
        "split_hash": split_hash(manifest),
    }
    assert json.loads(json.dumps(report)) == report


def test_report_counts_given_groups(manifest, duplicates):
    patients = NearDuplicates(
        pairs=duplicates.pairs[:0],
        mirror=duplicates.mirror[:0],
        correlation=duplicates.correlation[:0],
        kept=duplicates.kept[:0],
        given_group=np.array([0, 1, 1, 2, 2, 2]),
        group=np.array([0, 1, 1, 2, 2, 2]),
    )
    groups = leakage_report(manifest, patients, given_splits=False)["groups"]
    assert groups == {
        "given": 3,
        "perceptual_hash_only": 3,
        "after_pixel_check": 3,
        "with_mirrored": 3,
        "of_several_images": 2,
        "largest": 3,
        "images_with_a_near_duplicate": 0,
    }


def test_report_of_other_rows_is_refused(manifest, duplicates):
    with pytest.raises(ValueError, match=r"6 images.* 5 examined"):
        leakage_report(manifest.drop(index=0), duplicates, given_splits=False)


def test_at_most_ten_examples_of_pairs_across_labels():
    count = 30
    manifest = pd.DataFrame(
        {
            "image_id": [f"i{i}" for i in range(count)],
            "path": [f"{i}.png" for i in range(count)],
            "label": ["a", "b"] * (count // 2),
            "group_id": 0,
            "split": "train",
            "status": "ok",
            "phash": "0",
        }
    )
    pairs = np.stack([np.arange(count - 1), np.arange(1, count)], axis=1)
    ones = np.ones(len(pairs))
    one_group = NearDuplicates(
        pairs, np.zeros(len(pairs), int), ones, ones > 0, np.arange(count), np.zeros(count, dtype=np.int64)
    )
    crossing = leakage_report(manifest, one_group, given_splits=False)["cross_label_pairs"]
    assert (crossing["count"], len(crossing["examples"])) == (29, 10)


def test_check_passes_where_only_excluded_rows_share_a_group(manifest):
    check_no_leak(manifest)


def test_a_deliberately_leaked_manifest_is_refused(manifest):
    manifest.loc[6, "split"] = "train"  # its group g2 is in test
    with pytest.raises(UserError, match=r"1 groups .* group g2: 4.png in test and 5.png in train"):
        check_no_leak(manifest)


def test_a_row_without_group_is_refused(manifest):
    manifest.loc[0, "group_id"] = None
    with pytest.raises(UserError, match="1 rows have a split but no group_id"):
        check_no_leak(manifest)


@settings(max_examples=60, deadline=None)
@given(st.lists(st.integers(0, 12), min_size=20, max_size=60), st.integers(0, 1000), st.data())
def test_what_is_drawn_passes_and_moving_one_image_of_a_shared_group_is_refused(groups, seed, data):
    groups = np.array([*groups, 100, 100, 101, 102])
    nothing = np.full(len(groups), None, dtype=object)
    labels = np.full(len(groups), "a", dtype=object)
    splits, _ = assign_splits(groups, labels, nothing, SplitConfig(), np.random.default_rng(seed))
    manifest = pd.DataFrame({"path": [f"{i}.png" for i in range(len(groups))], "group_id": groups, "split": splits})
    check_no_leak(manifest)
    shared = np.flatnonzero(np.bincount(groups)[groups] > 1)
    row = int(data.draw(st.sampled_from(shared.tolist())))
    manifest.loc[row, "split"] = {"train": "val", "val": "test", "test": "train"}[splits[row]]
    with pytest.raises(UserError, match="1 groups"):
        check_no_leak(manifest)


def test_split_hash_is_that_of_the_sorted_lines(manifest):
    lines = "broken::\ni0:train:g0\ni1:train:g0\ni2:train:g0\ni3:val:g1\ni4:test:g2\ni5:excluded:g2\n"
    assert split_hash(manifest) == hashlib.sha256(lines.encode()).hexdigest()[:16]
    assert split_hash(manifest.sample(frac=1, random_state=0)) == split_hash(manifest)


@pytest.mark.parametrize("column", ["image_id", "split", "group_id"])
def test_split_hash_changes_with_each_part(manifest, column):
    before = split_hash(manifest)
    manifest.loc[4, column] = "other"
    assert split_hash(manifest) != before


def test_example_pairs_nearest_to_the_threshold_one_per_groups(manifest, duplicates):
    shown = example_pairs(manifest, duplicates, count=2)
    assert shown[["row_a", "row_b", "kept"]].to_numpy().tolist() == [
        [4, 5, True],
        [1, 2, True],
        [3, 4, False],
        [0, 3, False],
    ]
    assert shown["path_a"].tolist() == ["4.png", "1.png", "3.png", "0.png"]
    assert shown["mirror"].tolist() == ["as it is", "left-right", "as it is", "as it is"]
    assert shown["correlation"].tolist() == [0.8, 0.95, 0.5, 0.3]
    assert len(example_pairs(manifest, duplicates, count=1)) == 2


def test_a_pair_that_others_join_is_not_shown_as_apart(manifest, duplicates):
    duplicates.kept[0] = False  # 0 and 1 are one group all the same
    apart = example_pairs(manifest, duplicates).query("not kept")
    assert apart[["row_a", "row_b"]].to_numpy().tolist() == [[3, 4], [0, 3]]
