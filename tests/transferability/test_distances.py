"""The common test of the distances: every one of the menu is a row, and goes through every property."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from medical_transfer.transferability.distances import DISTANCES, Permuted, TwoDomains
from medical_transfer.transferability.distances.measured import measure, measure_all
from medical_transfer.transferability.distances.permuted import labelings
from medical_transfer.transferability.distances.two_domains import FEWEST_GROUPS
from medical_transfer.types import UserError

ALL = sorted(DISTANCES)


def make(*, source=40, target=30, width=6, gap=0.0, seed=0, per_group=1, spread=0.0):
    """Gaussian features, target `gap` away in each, with patients of `per_group` images that are alike by `spread`."""
    rng = np.random.default_rng(seed)
    sides = {}
    for side, images, middle in (("source", source, 0.0), ("target", target, gap)):
        groups = np.arange(images) // per_group
        patients = spread * rng.normal(size=(groups.max() + 1, width))
        sides[side] = (rng.normal(middle, 1, (images, width)) + patients[groups], groups)
    (source_ND, source_groups_N), (target_MD, target_groups_M) = sides["source"], sides["target"]
    return TwoDomains(
        source_ND=source_ND,
        target_MD=target_MD,
        source_groups_N=source_groups_N,
        target_groups_M=target_groups_M,
        seed=seed,
    )


def reordered(domains, rng):
    first, second = rng.permutation(len(domains.source_ND)), rng.permutation(len(domains.target_MD))
    return replace(
        domains,
        source_ND=domains.source_ND[first],
        target_MD=domains.target_MD[second],
        source_groups_N=domains.source_groups_N[first],
        target_groups_M=domains.target_groups_M[second],
    )


@pytest.mark.parametrize("name", ALL)
class TestEveryDistance:
    @settings(max_examples=15, deadline=None)
    @given(
        st.integers(0, 2**32 - 1), st.integers(10, 30), st.integers(10, 30), st.integers(1, 40), st.sampled_from([1, 2])
    )
    def test_is_finite_and_tested_for_any_sizes_and_ignores_the_order_of_rows(
        self, name, seed, source, target, width, per_group
    ):
        domains = make(source=source, target=target, width=width, seed=seed, per_group=per_group)
        found = DISTANCES[name](domains, 9)
        assert type(found.value) is float
        assert np.isfinite([found.value, *found.null_B]).all()
        assert found.null_B.shape == (9,)
        assert 0.1 <= found.p_value <= 1
        again = DISTANCES[name](reordered(domains, np.random.default_rng(seed)), 9)
        assert again.value == pytest.approx(found.value, abs=1e-9)
        assert again.p_value == found.p_value

    def test_far_domains_are_told_apart_and_near_ones_less(self, name):
        near, far = (DISTANCES[name](make(gap=gap), 99) for gap in (0.0, 3.0))
        assert far.p_value == 0.01
        assert near.p_value > 0.05
        assert far.value > max(near.value, far.null_B.max())

    def test_finds_a_difference_of_more_features_than_images(self, name):
        assert DISTANCES[name](make(width=300, gap=1.0), 99).p_value == 0.01

    def test_p_values_of_equal_domains_are_uniform(self, name):
        """40 draws, patients of three images that are alike: below .05 about 2 times, 7 or more in .3 % of the runs."""
        values = [
            DISTANCES[name](make(seed=seed, source=36, target=24, per_group=3, spread=2.0), 19).p_value
            for seed in range(40)
        ]
        assert sum(value <= 0.05 for value in values) <= 6
        assert 0.3 < np.mean(values) < 0.75  # .525 where values are multiples of 1/20; standard error .046

    def test_ignores_a_shift_of_all_images_and_the_unit(self, name):
        domains = make(gap=1.0)
        moved = replace(domains, source_ND=100 + 3 * domains.source_ND, target_MD=100 + 3 * domains.target_MD)
        found, other = DISTANCES[name](domains, 19), DISTANCES[name](moved, 19)
        scale = 9 if name == "frechet" else 1  # in squared units of the features
        assert other.value == pytest.approx(scale * found.value, rel=1e-6)
        assert other.p_value == found.p_value

    def test_gives_the_same_twice_and_other_permutations_by_another_seed(self, name):
        domains = make(gap=0.3)
        first, second, other = (DISTANCES[name](each, 19) for each in (domains, domains, replace(domains, seed=1)))
        assert np.array_equal(first.null_B, second.null_B)
        assert not np.array_equal(first.null_B, other.null_B)

    def test_works_in_float64_whatever_comes_in(self, name):
        domains = make(gap=1.0)
        short = replace(
            domains, source_ND=domains.source_ND.astype(np.float32), target_MD=domains.target_MD.astype(np.float32)
        )
        exact = replace(short, source_ND=short.source_ND.astype(np.float64))
        assert DISTANCES[name](short, 3).value == DISTANCES[name](exact, 3).value

    def test_constant_and_repeated_features_are_no_trouble(self, name):
        domains = make(gap=2.0)
        doubled = {side: np.hstack([getattr(domains, side)] * 2) for side in ("source_ND", "target_MD")}
        for rows in doubled.values():
            rows[:, 0] = 7.0
        assert DISTANCES[name](replace(domains, **doubled), 19).p_value == 0.05

    def test_features_that_never_vary_are_a_reason(self, name):
        same = replace(make(), source_ND=np.ones((40, 6)), target_MD=np.ones((30, 6)))
        told = measure(DISTANCES[name], same, 9)
        assert math.isnan(told.value)
        assert math.isnan(told.p_value)
        assert told.reason == "all images of both domains have the same features"


@pytest.mark.parametrize("name", ["mmd", "frechet"])  # the A-distance would draw other halves
def test_does_not_care_which_domain_is_called_source(name):
    domains = make(gap=0.5)
    swapped = TwoDomains(
        source_ND=domains.target_MD,
        target_MD=domains.source_ND,
        source_groups_N=domains.target_groups_M,
        target_groups_M=domains.source_groups_N,
    )
    assert DISTANCES[name](swapped, 1).value == pytest.approx(DISTANCES[name](domains, 1).value, abs=1e-9)


def test_every_distance_is_measured_and_frechet_by_its_own_permutations():
    told = measure_all(make(gap=3.0), permutations=39, frechet_permutations=19)
    assert {name: (each.permutations, each.p_value, each.n) for name, each in told.items()} == {
        "mmd": (39, 1 / 40, 70),
        "frechet": (19, 1 / 20, 70),
        "a_distance": (39, 1 / 40, 70),
    }
    assert all(each.null_low <= each.null_mean <= each.null_high < each.value for each in told.values())
    assert all(each.seconds > 0 and each.reason is None for each in told.values())


# --- p-values ---------------------------------------------------------------------------------------------------------


def test_p_value_by_hand():
    null_B = np.array([0.5, 0.1, 0.3, 0.3 + 1e-12])
    assert Permuted(0.6, null_B).p_value == 1 / 5
    assert Permuted(0.3, null_B).p_value == 4 / 5  # .5 and two ties
    assert Permuted(0.3 + 1e-12, null_B).p_value == 4 / 5  # the same number but for rounding
    assert Permuted(0.0, null_B).p_value == 1


def test_labels_are_permuted_by_whole_groups_and_the_first_row_is_true():
    is_source_G = np.array([True] * 3 + [False] * 5)
    labels_AG = labelings(is_source_G, 400, np.random.default_rng(0))
    assert np.array_equal(labels_AG[0], is_source_G)
    assert (labels_AG.sum(axis=1) == 3).all()
    assert labels_AG[1:].mean(axis=0) == pytest.approx(np.full(8, 3 / 8), abs=0.1)  # 4 standard errors


def test_labels_stay_within_their_strata():
    is_source_G, strata_G = np.array([True, True, False, True, False, False]), np.array([0, 0, 0, 1, 1, 1])
    labels_AG = labelings(is_source_G, 50, np.random.default_rng(0), strata_G=strata_G)
    assert (labels_AG[:, :3].sum(axis=1) == 2).all()
    assert (labels_AG[:, 3:].sum(axis=1) == 1).all()
    assert len(np.unique(labels_AG, axis=0)) == 9


# --- what is refused --------------------------------------------------------------------------------------------------

GOOD = np.random.default_rng(0).normal(size=(8, 3))
BAD = np.where(np.arange(24).reshape(8, 3) == 4, np.nan, GOOD)
REFUSED = {
    "NaN": ({"source_ND": BAD}, "source features hold NaN or infinity in 1 of 8 rows"),
    "infinity": ({"target_MD": np.where(np.isnan(BAD), np.inf, BAD)}, "target features hold NaN or infinity in 1 of 8"),
    "another width": ({"target_MD": GOOD[:, :2]}, "Source images have 3 features, target images 2: both must come"),
    "no matrix": ({"source_ND": GOOD[0]}, r"source features have shape \(3,\): expected a matrix"),
    "no rows": ({"target_MD": GOOD[:0]}, r"target features have shape \(0, 3\)"),
    "too few rows": (
        {"source_ND": GOOD[:4]},
        r"4 source images are of 4 independent group\(s\): at least 5",
    ),
    "too few groups": ({"target_groups_M": np.arange(8) // 2}, r"8 target images are of 4 independent group\(s\)"),
    "groups of another number": ({"source_groups_N": np.arange(7)}, r"source groups are of shape \(7,\)"),
    "groups that are no codes": ({"source_groups_N": np.arange(8.0)}, "type float64: expected one integer code"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_refused_in_a_sentence(case):
    changed, sentence = REFUSED[case]
    with pytest.raises(UserError, match=sentence):
        TwoDomains(**{"source_ND": GOOD, "target_MD": GOOD} | changed)


def test_equal_codes_on_both_sides_are_different_groups():
    domains = TwoDomains(source_ND=GOOD, target_MD=GOOD, target_groups_M=np.array([9, 9, 8, 7, 6, 5, 4, 4]))
    assert domains.groups.tolist() == [0, 1, 2, 3, 4, 5, 6, 7, 13, 13, 12, 11, 10, 9, 8, 8]
    assert domains.is_source.tolist() == [True] * 8 + [False] * 6
    assert FEWEST_GROUPS == 5
