from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.ndimage import gaussian_filter

from medical_transfer.config.split import SplitConfig
from medical_transfer.splits.across_sites import Looks, across_sites, pairs_between
from medical_transfer.splits.groups import flipped_hashes

RNG = np.random.default_rng(5)
PICTURES = np.stack([gaussian_filter(RNG.uniform(0, 255, (32, 32)), 1) for _ in range(12)])
PICTURES = ((PICTURES - PICTURES.min()) / np.ptp(PICTURES) * 255).astype(np.uint8)


def looks(pictures) -> Looks:
    small_NTT = np.array(pictures, dtype=np.uint8).reshape(-1, 32, 32)
    return Looks(flipped_hashes(small_NTT)[0], small_NTT)


def noisy(picture):
    return (picture + RNG.normal(0, 1, picture.shape)).clip(0, 255).astype(np.uint8)


SOURCE = looks([*PICTURES[:6], PICTURES[0]])  # the last is a copy within the site
TARGET = looks([PICTURES[8], noisy(PICTURES[2]), PICTURES[4][:, ::-1], PICTURES[9], PICTURES[9], PICTURES[0]])


def test_copies_and_mirrored_copies_at_the_other_site_are_found_and_no_others():
    assert pairs_between(SOURCE, TARGET, SplitConfig()).tolist() == [[0, 5], [2, 1], [4, 2], [6, 5]]


@pytest.mark.parametrize(
    ("changed", "expected"),
    [
        ({"mirrored_copies": False}, [[0, 5], [2, 1], [6, 5]]),
        ({"near_duplicates": False}, []),
        ({"hash_distance": 16, "pixel_correlation": 0.999999, "mirrored_copies": False}, [[0, 5], [6, 5]]),
    ],
)
def test_the_rule_is_that_of_the_groups(changed, expected):
    assert pairs_between(SOURCE, TARGET, SplitConfig(**changed)).tolist() == expected


@pytest.mark.parametrize(("source", "target"), [(SOURCE, looks([])), (looks([]), TARGET), (looks([]), looks([]))])
def test_a_site_without_images_shares_none(source, target):
    assert pairs_between(source, target, SplitConfig()).shape == (0, 2)


@settings(max_examples=25, deadline=None)
@given(st.lists(st.integers(0, 11), max_size=8), st.lists(st.integers(0, 11), max_size=8))
def test_pairs_are_those_of_equal_pictures_and_either_site_may_be_first(one, other):
    expected = sorted([i, j] for i, a in enumerate(one) for j, b in enumerate(other) if a == b)
    source, target = looks(PICTURES[one]), looks(PICTURES[other])
    assert pairs_between(source, target, SplitConfig()).tolist() == expected
    assert sorted(pairs_between(target, source, SplitConfig())[:, ::-1].tolist()) == expected


def site(name, groups, splits) -> pd.DataFrame:
    ids = [f"{name}{i}" for i in range(len(groups))]
    return pd.DataFrame({"image_id": ids, "path": [f"{i}.png" for i in ids], "group_id": groups, "split": splits})


def test_report_counts_images_groups_and_splits_by_hand():
    source = site("s", ["g1", "g1", "g2", "g3"], ["train", "train", "test", "val"])
    target = site("t", ["h1", "h2", "h2"], ["train", "test", "test"])
    pairs_P2 = np.array([[0, 0], [0, 1], [1, 1], [2, 1], [2, 2]])
    assert across_sites(source, target, pairs_P2, searched=True) == {
        "searched": True,
        "pairs": 5,
        "source_images": 3,
        "target_images": 3,
        "source_groups": 2,
        "target_groups": 2,
        "splits": {"train": {"train": 1, "test": 2}, "test": {"test": 2}},
        "examples": [
            ["s0.png", "t0.png"],
            ["s0.png", "t1.png"],
            ["s1.png", "t1.png"],
            ["s2.png", "t1.png"],
            ["s2.png", "t2.png"],
        ],
    }


def test_report_on_nothing_is_zeros():
    told = across_sites(site("s", ["g"], ["train"]), site("t", [], []), np.empty((0, 2), np.int64), searched=False)
    assert (told["pairs"], told["target_images"], told["splits"], told["examples"]) == (0, 0, {}, [])
