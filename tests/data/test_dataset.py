from __future__ import annotations

from collections import Counter

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from medical_transfer.data.dataset import UNKNOWN, class_names, evenly_over_classes, labelled_rows, unlabelled_rows
from medical_transfer.types import UserError


class FakeCache:
    """Image `i7` lies in slot 7."""

    @staticmethod
    def slots(image_ids):
        return np.array([int(name[1:]) for name in image_ids], dtype=np.int64)


@pytest.fixture
def manifest():
    rows = [
        ("i0", "yes", "p1", "train", "ok"),
        ("i5", "no", "p2", "train", "ok"),
        ("i2", "yes", "p1", "train", "ok"),
        ("i3", "no", "p3", "train", "quarantined"),
        ("i4", "no", "p4", "val", "ok"),
        ("i1", "maybe", "p5", "excluded", "ok"),
        ("i6", None, "p6", "train", "ok"),
        ("i7", "spoilt", "p7", "test", "quarantined"),
    ]
    return pd.DataFrame(rows, columns=["image_id", "label", "group_id", "split", "status"])


def test_classes_are_those_in_use_sorted(manifest):
    assert class_names(manifest) == ("no", "yes")


def test_rows_of_a_split_in_the_manifests_order(manifest):
    found = labelled_rows(manifest, FakeCache(), "train")
    assert found.image_ids == ("i0", "i5", "i2")
    assert found.slots_N.tolist() == [0, 5, 2]
    assert found.labels_N.tolist() == [1, 0, 1]
    assert found.groups_N.tolist() == [0, 1, 0]
    assert len(found) == 3
    assert labelled_rows(manifest, FakeCache(), "val").labels_N.tolist() == [0]


def test_an_empty_split_is_one_sentence(manifest):
    with pytest.raises(UserError, match="no usable image in split 'test'"):
        labelled_rows(manifest, FakeCache(), "test")


@settings(max_examples=100, deadline=None)
@given(st.lists(st.integers(0, 4), min_size=1, max_size=80), st.integers(1, 100), st.integers(0, 1000))
def test_a_limit_is_shared_evenly(labels, limit, seed):
    labels_N = np.array(labels, dtype=np.int64)
    chosen = evenly_over_classes(labels_N, limit, np.random.default_rng(seed))
    assert len(chosen) == len(set(chosen.tolist())) == min(limit, len(labels))
    assert (np.diff(chosen) > 0).all()
    have, taken = Counter(labels), Counter(labels_N[chosen].tolist())
    # who has images left has no fewer than any other class, give or take the one that the limit cut off
    most = max(taken.values())
    assert all(taken[c] >= most - 1 for c in have if taken[c] < have[c])


def test_which_rows_are_kept_is_drawn():
    labels_N = np.arange(40) % 2
    draws = [evenly_over_classes(labels_N, 8, np.random.default_rng(seed)).tolist() for seed in (0, 0, 1)]
    assert draws[0] == draws[1] != draws[2]


def test_rows_of_a_second_site_know_no_label(manifest):
    found = unlabelled_rows(manifest, FakeCache(), "train")
    assert found.image_ids == ("i0", "i5", "i2", "i6"), "those without a label too"
    assert found.slots_N.tolist() == [0, 5, 2, 6]
    assert found.labels_N.tolist() == [UNKNOWN] * 4
    assert UNKNOWN < 0
    for labels in ("poison", None):
        other = unlabelled_rows(manifest.assign(label=labels), FakeCache(), "train")
        assert other.image_ids == found.image_ids
        for name in ("slots_N", "labels_N", "groups_N"):
            assert getattr(other, name).tolist() == getattr(found, name).tolist()
    assert len(unlabelled_rows(manifest, FakeCache(), "test")) == 0
