"""Squared MMD against a loop over pairs, in expectation, and whatever the chunks are."""

from __future__ import annotations

import sys
from dataclasses import replace
from statistics import median

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from test_distances import make

from medical_transfer.transferability.distances.mmd import median_square, mmd
from medical_transfer.transferability.distances.permuted import labelings


def loop_mmd(domains):
    """Lemma 6 of the paper, term by term."""
    rows = [*domains.source_ND, *domains.target_MD]
    groups, sources = domains.groups.tolist(), len(domains.source_ND)
    square = {
        (i, j): sum((a - b) ** 2 for a, b in zip(rows[i], rows[j], strict=True))
        for i in range(len(rows))
        for j in range(len(rows))
    }
    middle = median(square[i, j] for i in range(len(rows)) for j in range(i + 1, len(rows)))
    kernel = {
        pair: np.mean([np.exp(-value / (scale * middle)) for scale in (0.25, 0.5, 1, 2, 4)])
        for pair, value in square.items()
    }

    def mean(first, second):
        return np.mean([kernel[i, j] for i in first for j in second if groups[i] != groups[j]])

    source, target = range(sources), range(sources, len(rows))
    return mean(source, source) + mean(target, target) - 2 * mean(source, target)


@settings(max_examples=10, deadline=None)
@given(
    st.integers(0, 2**32 - 1), st.integers(5, 12), st.integers(5, 12), st.integers(1, 5), st.sampled_from([0.0, 1.0])
)
def test_equals_a_loop_over_pairs(seed, source, target, width, gap):
    domains = make(source=source, target=target, width=width, gap=gap, seed=seed)
    assert mmd(domains, 1).value == pytest.approx(loop_mmd(domains), abs=1e-10)


def test_equals_a_loop_over_pairs_of_different_patients():
    domains = make(source=14, target=10, width=3, gap=0.5, per_group=2, spread=1.0)
    assert mmd(domains, 1).value == pytest.approx(loop_mmd(domains), abs=1e-10)


def test_every_permutation_is_the_distance_under_its_labels():
    """Domains put together anew from the labels that were drawn: the shared kernel gives what a new one would."""
    uneven = np.array([0, 0, 0, 0, 0, 1, 1, 1, 2, 3, 4, 4, 5, 5])  # so that permutations change numbers of images
    domains = replace(make(source=14, target=10, width=3, gap=0.5, per_group=2), source_groups_N=uneven)
    labels_AG = labelings(domains.is_source, 5, np.random.default_rng(domains.seed))
    pooled_PD, groups_P = np.concatenate([domains.source_ND, domains.target_MD]), domains.groups
    for value, source_P in zip(mmd(domains, 5).null_B, labels_AG[1:, groups_P], strict=True):
        drawn = replace(
            domains,
            source_ND=pooled_PD[source_P],
            target_MD=pooled_PD[~source_P],
            source_groups_N=groups_P[source_P],
            target_groups_M=groups_P[~source_P],
        )
        assert value == pytest.approx(loop_mmd(drawn), abs=1e-10)


@pytest.mark.parametrize("numbers", [1, 100, 2**21])
def test_chunks_change_nothing(numbers, monkeypatch):
    domains = make(source=20, target=15, gap=0.5)
    expected = mmd(domains, 7)
    monkeypatch.setattr(sys.modules[mmd.__module__], "CHUNK_NUMBERS", numbers)
    found = mmd(domains, 7)
    assert found.value == pytest.approx(expected.value, abs=1e-12)
    assert found.null_B == pytest.approx(expected.null_B, abs=1e-12)


@pytest.mark.parametrize("spread", [0.0, 2.0])
def test_is_zero_in_expectation_for_equal_domains_whose_patients_have_several_images(spread):
    """One site has three images of each patient, the other one: with pairs of one patient the mean would be far off."""
    values = []
    for seed in range(60):
        many = make(source=30, target=30, per_group=3, spread=spread, seed=seed)
        few = make(source=30, target=30, per_group=1, spread=spread, seed=1000 + seed)
        values.append(
            mmd(replace(many, target_MD=few.target_MD, target_groups_M=few.target_groups_M), 1).value,
        )
    assert abs(np.mean(values)) < 4 * np.std(values) / np.sqrt(len(values))


def test_median_by_hand_and_of_equal_rows():
    rng = np.random.default_rng(0)
    assert median_square(np.array([[0.0], [1.0], [3.0]]), rng) == pytest.approx(4)  # of 1, 4 and 9
    assert median_square(np.array([[0.0], [0.0], [0.0], [0.0], [2.0]]), rng) == pytest.approx(1.6)  # 4 of 10 are 4
    assert median_square(np.zeros((4, 2)), rng) == 1
