from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from medical_transfer.config.split import SplitConfig
from medical_transfer.splits.assign import assign_splits, draw_splits
from medical_transfer.types import SPLITS, UserError

CONFIG = SplitConfig()


def words(*values):
    return np.array(values, dtype=object)


def nothing(count):
    return np.full(count, None, dtype=object)


def assign(groups, labels, given_splits=None, config=CONFIG, seed=0, paths=None):
    labels = np.array(labels, dtype=object)
    given_N = nothing(len(labels)) if given_splits is None else np.array(given_splits, dtype=object)
    return assign_splits(np.array(groups), labels, given_N, config, np.random.default_rng(seed), paths_N=paths)


def splits_per_group(groups, splits):
    used = splits != "excluded"
    return {group: set(splits[used & (groups == group)]) for group in np.unique(groups[used])}


@st.composite
def grouped_labels(draw):
    """Rows with groups of one class each, at least three groups per class, in any order."""
    sizes = {c: draw(st.lists(st.integers(1, 9), min_size=3, max_size=15)) for c in "abc"[: draw(st.integers(1, 3))]}
    rows = [(f"{c}{g}", c) for c, groups in sizes.items() for g, size in enumerate(groups) for _ in range(size)]
    rows = draw(st.permutations(rows))
    return np.unique([row[0] for row in rows], return_inverse=True)[1], words(*[row[1] for row in rows])


@settings(max_examples=120, deadline=None)
@given(grouped_labels(), st.integers(0, 2**32 - 1))
def test_full_draw_divides_every_row_once_by_whole_groups_and_serves_every_class(table, seed):
    groups, labels = table
    splits, reasons = assign(groups, labels, seed=seed)
    assert set(splits) <= set(SPLITS)
    assert all(reason is None for reason in reasons)
    assert all(len(found) == 1 for found in splits_per_group(groups, splits).values())
    for label in np.unique(labels):
        assert set(splits[labels == label]) == set(SPLITS)


@settings(max_examples=60, deadline=None)
@given(grouped_labels(), st.integers(0, 2**32 - 1), st.randoms(use_true_random=False))
def test_another_order_of_rows_gives_a_valid_split_too(table, seed, random):
    groups, labels = table
    order = np.array(random.sample(range(len(groups)), len(groups)))
    splits, _ = assign(groups[order], labels[order], seed=seed)
    assert all(len(found) == 1 for found in splits_per_group(groups[order], splits).values())
    assert all(set(splits[labels[order] == label]) == set(SPLITS) for label in np.unique(labels))


@settings(max_examples=60, deadline=None)
@given(
    st.lists(st.integers(20, 120), min_size=1, max_size=3),
    st.floats(0.1, 0.3),
    st.floats(0.1, 0.3),
    st.integers(0, 2**32 - 1),
)
def test_single_images_come_within_one_image_of_the_fractions(counts, val, test, seed):
    """Webster's apportionment among three keeps quota (Balinski and Young 1982): less than one image off."""
    labels = np.repeat(np.array(["a", "b", "c"][: len(counts)], dtype=object), counts)
    config = SplitConfig(val_fraction=val, test_fraction=test)
    splits, _ = assign(np.arange(len(labels)), labels, config=config, seed=seed)
    for label, count in zip("abc", counts, strict=False):
        for split, fraction in zip(SPLITS, (1 - val - test, val, test), strict=True):
            assert abs(((labels == label) & (splits == split)).sum() - fraction * count) < 1 + 1e-9


def test_groups_of_many_sizes_come_near_the_fractions_in_every_class():
    rng = np.random.default_rng(1)
    groups = np.repeat(np.arange(600), rng.geometric(0.25, 600))
    labels = np.array(["no", "yes"], dtype=object)[(rng.random(600) < 0.3).astype(int)][groups]
    splits, _ = assign(groups, labels)
    for label in ("no", "yes"):
        for split, fraction in zip(SPLITS, (0.7, 0.15, 0.15), strict=True):
            assert (splits[labels == label] == split).mean() == pytest.approx(fraction, abs=0.01)
    big = np.bincount(groups)[groups] >= 8
    assert {"val", "test"} <= set(splits[big])  # large groups are not all for training


def test_same_generator_same_split_and_another_seed_another_one():
    groups, labels = np.arange(100), np.repeat(words("a", "b"), 50)
    first, _ = assign(groups, labels, seed=4)
    np.testing.assert_array_equal(first, assign(groups, labels, seed=4)[0])
    assert (first != assign(groups, labels, seed=5)[0]).any()


def test_groups_of_mixed_labels_stay_whole():
    rng = np.random.default_rng(2)
    groups = rng.integers(0, 60, 400)
    labels = np.array(["a", "b", None], dtype=object)[rng.integers(0, 3, 400)]
    splits, _ = assign(groups, labels)
    assert all(len(found) == 1 for found in splits_per_group(groups, splits).values())
    assert set(splits[labels == "a"]) == set(splits[labels == "b"]) == set(SPLITS)


def test_a_class_of_three_groups_is_everywhere_though_one_group_holds_most_of_it():
    groups = np.repeat([0, 1, 2, *range(3, 103)], [200, 1, 1, *[1] * 100])
    labels = np.repeat(words("rare", "common"), [202, 100])
    for seed in range(10):
        splits, _ = assign(groups, labels, seed=seed)
        assert set(splits[labels == "rare"]) == set(SPLITS)
        assert set(splits[:200]) == {"train"}


def test_unlabelled_rows_need_no_minimum_of_groups():
    splits, _ = assign([0, 1], [None, None])
    assert set(splits) <= set(SPLITS)


def test_given_splits_are_kept_and_leaking_rows_excluded_with_a_reason():
    groups = [0, 0, 1, 1, 2, 2, 3, 4, 5]
    given_splits = ["test", "train", "val", "train", "test", "val", "train", "val", "test"]
    splits, reasons = assign(groups, ["a"] * 9, given_splits)
    assert splits.tolist() == ["test", "excluded", "val", "excluded", "test", "excluded", "train", "val", "test"]
    assert "train" in reasons[1]
    assert "test" in reasons[1]
    assert "train" in reasons[3]
    assert "val" in reasons[3]
    assert "given split val" in reasons[5]
    assert [reason is None for reason in reasons] == [s != "excluded" for s in splits]


@settings(max_examples=100, deadline=None)
@given(st.lists(st.tuples(st.integers(0, 30), st.sampled_from(["train", "val", "test", None])), max_size=60))
def test_whatever_is_given_no_group_is_in_two_splits_and_test_stays(rows):
    rows = [*rows, (100, "train"), (101, "train"), (102, "train"), (103, "val"), (104, "test")]
    groups = np.array([row[0] for row in rows])
    given_splits = [row[1] for row in rows]
    splits, _ = assign(groups, ["a"] * len(rows), given_splits)
    assert all(len(found) == 1 for found in splits_per_group(groups, splits).values())
    for given_split, split in zip(given_splits, splits, strict=True):
        assert given_split is None or split in (given_split, "excluded")
        assert given_split != "test" or split == "test"


def test_rows_without_a_split_join_their_group_or_train():
    groups = [0, 0, 1, 1, 2, 3, 3]
    given_splits = ["test", None, "val", np.nan, None, "train", None]
    splits, _ = assign(groups, ["a"] * 7, given_splits)
    assert splits.tolist() == ["test", "test", "val", "val", "train", "train", "train"]


def test_strict_stops_with_counts_and_an_example():
    given = ([0, 0, 0, 1], ["a"] * 4, ["test", "train", "val", "train"], SplitConfig(strict=True))
    with pytest.raises(UserError, match=r"1 groups .* through 2 images .*row 1 in train and row 0 in test.*strict"):
        assign(*given)
    with pytest.raises(UserError, match=r"example ill/b\.png in train and ill/a\.png in test"):
        assign(*given, paths=words("ill/a.png", "ill/b.png", "ill/c.png", "well/d.png"))


def test_strict_refuses_a_group_in_all_splits_and_accepts_clean_splits():
    with pytest.raises(UserError):
        assign([0, 0, 0], ["a"] * 3, ["train", "val", "test"], SplitConfig(strict=True))
    splits, _ = assign([0, 1, 2], ["a"] * 3, ["train", "val", "test"], SplitConfig(strict=True))
    assert splits.tolist() == ["train", "val", "test"]


@pytest.mark.parametrize(
    ("kept", "carved", "share"),
    [("test", "val", 0.2 / 0.7), ("val", "test", 0.3 / 0.8)],
)
def test_a_missing_split_is_carved_from_train_by_groups(kept, carved, share):
    groups = np.concatenate([np.repeat(np.arange(100), 2), [100, 101]])
    labels = words(*(["a", "a", "b", "b"] * 50), "a", "b")
    given_splits = ["train"] * 200 + [kept] * 2
    config = SplitConfig(val_fraction=0.2, test_fraction=0.3)
    splits, reasons = assign(groups, labels, given_splits, config)
    assert (splits[200:] == kept).all()
    assert set(splits[:200]) == {"train", carved}
    assert (splits == carved).mean() == pytest.approx(share, abs=0.02)
    assert all(len(found) == 1 for found in splits_per_group(groups, splits).values())
    assert all(reason is None for reason in reasons)


def test_only_train_given_is_a_full_draw():
    splits, _ = assign(np.arange(100), ["a"] * 100, ["train"] * 100)
    assert [(splits == split).sum() for split in SPLITS] == [70, 15, 15]


@pytest.mark.parametrize(
    ("groups", "labels", "given_splits", "message"),
    [
        ([0, 0, 1, 2, 3, 4], ["b", "b", "b", "a", "a", "a"], None, "Class 'b' has 3 images in 2 groups"),
        ([0, 1], ["a", "a"], ["train", "test"], "Class 'a' has 1 images in 1 groups.*2 splits"),
        (range(6), list("aababb"), ["train"] * 2 + ["val"] * 2 + ["test"] * 2, r"\['b'\] .* split 'train' .*'a': 2}\)"),
        (range(6), list("abaaab"), ["train"] * 2 + ["val"] * 2 + ["test"] * 2, r"'val' \(found {'a': 2}\).*no image"),
        (range(6), list("ababaa"), ["train"] * 2 + ["val"] * 2 + ["test"] * 2, r"\['b'\] have no .* 'test'.*classes"),
        ([0, 1, 2, 3, 4, 3], list("ababab"), ["train"] * 2 + ["val"] * 2 + ["test"] * 2, "1 given ones share a group"),
        (range(5), list("aaaab"), ["train"] * 4 + ["test"], r"\['b'\] have no image in split 'train'"),
        ([0, 1], ["a", "a"], ["test", "val"], "no training image of 2"),
        ([0, 0], ["a", "a"], ["test", "train"], "no training image of 2"),
        ([0, 1], ["a", "a"], ["train", "validation"], "'validation'; expected train, val, test"),
        ([], [], None, "no training image of 0"),
    ],
)
def test_what_the_user_can_mend(groups, labels, given_splits, message):
    with pytest.raises(UserError, match=message):
        assign(np.array(groups, dtype=int), labels, given_splits)


def test_classes_that_block_each_other_are_a_clear_sentence():
    """The seven lines of the Fano plane as classes: its points cannot be divided so that all lines meet all splits."""
    lines = [(0, 1, 2), (0, 3, 4), (0, 5, 6), (1, 3, 5), (1, 4, 6), (2, 3, 6), (2, 4, 5)]
    groups = np.array([point for line in lines for point in line])
    labels = words(*[f"line{number}" for number, line in enumerate(lines) for _ in line])
    with pytest.raises(UserError, match="cannot be in"):
        draw_splits(groups, labels, {"train": 0.4, "val": 0.3, "test": 0.3}, np.random.default_rng(0))
