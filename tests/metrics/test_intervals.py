"""The bootstrap draws whole groups within strata, keeps its promise of coverage, and knows what it cannot say."""

from __future__ import annotations

from functools import partial

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from medical_transfer.metrics.calibration import ece, ece_noise
from medical_transfer.metrics.classification import accuracy, auroc, one_hot
from medical_transfer.metrics.intervals import bootstrap_counts, interval, intervals, strata


def two(scores_N) -> np.ndarray:
    scores_N = np.asarray(scores_N, dtype=float)
    return np.stack([1 - scores_N, scores_N], axis=1)


def drawn(groups_N, strata_N, resamples: int, seed: int = 0, **options) -> np.ndarray:
    rng = np.random.default_rng(seed)
    return np.concatenate(list(bootstrap_counts(np.asarray(groups_N), np.asarray(strata_N), resamples, rng, **options)))


def test_a_group_belongs_to_its_rarest_label() -> None:
    # Class 0 lies in groups a, b, c; class 1 in a, d: a and d are of class 1.
    groups = np.array(["a", "a", "a", "b", "c", "d", "d"])
    np.testing.assert_array_equal(strata(np.array([0, 0, 1, 0, 0, 1, 1]), groups), [1, 1, 1, 0, 0, 1, 1])


def test_groups_are_whole_and_each_stratum_keeps_its_number_of_groups() -> None:
    groups = np.array([5, 5, 3, 3, 3, 9, 1, 1, 2])
    strata_N = np.array([0, 0, 1, 1, 1, 0, 1, 1, 1])
    weights = drawn(groups, strata_N, 500)
    assert weights.shape == (500, 9)
    for group in np.unique(groups):
        assert (np.ptp(weights[:, groups == group], axis=1) == 0).all()
    first = [0, 2, 5, 6, 8]  # one image of each of the groups 5, 3, 9, 1, 2
    np.testing.assert_array_equal(weights[:, [0, 5]].sum(axis=1), 2)
    np.testing.assert_array_equal(weights[:, [2, 6, 8]].sum(axis=1), 3)
    assert (weights[:, first] > 1).any()


def test_counts_have_the_mean_and_variance_of_drawing_with_replacement() -> None:
    # Each of n groups: binomial(n, 1/n), so mean 1 and variance 1 - 1/n. Standard errors: .004 and about .01.
    weights = drawn(np.arange(8), np.zeros(8, dtype=int), 50_000)
    np.testing.assert_allclose(weights.mean(axis=0), 1, atol=0.02)
    np.testing.assert_allclose(weights.var(axis=0), 1 - 1 / 8, atol=0.04)


@settings(max_examples=40, deadline=None)
@given(st.lists(st.tuples(st.integers(0, 1), st.integers(0, 6)), min_size=2, max_size=30))
def test_neither_of_two_classes_vanishes_from_a_resample(rows) -> None:
    labels, groups = (np.array(column) for column in zip(*rows, strict=True))
    weights = drawn(groups, strata(labels, groups), 200)
    for label in np.unique(labels):
        assert (weights[:, labels == label].sum(axis=1) > 0).all()


@pytest.mark.parametrize("chunk_bytes", [1, 500, 10**9])
def test_the_size_of_chunks_changes_nothing(chunk_bytes: int) -> None:
    groups, strata_N = np.array([0, 1, 1, 2, 3, 3]), np.array([0, 1, 1, 0, 1, 1])
    np.testing.assert_array_equal(drawn(groups, strata_N, 37, chunk_bytes=chunk_bytes), drawn(groups, strata_N, 37))


def test_memory_is_bounded_by_the_chunk() -> None:
    chunks = bootstrap_counts(np.arange(1000), np.zeros(1000, dtype=int), 100, np.random.default_rng(0), 80_000)
    assert [chunk.nbytes for chunk in chunks] == [80_000] * 10


def test_the_interval_of_a_mean_agrees_with_the_closed_form() -> None:
    # One stratum, groups of 5: standard error of the mean of group means, and the normal interval around it.
    rng = np.random.default_rng(1)
    groups = np.repeat(np.arange(200), 5)
    right = (rng.random(1000) < np.repeat(rng.beta(4, 1, 200), 5)).astype(int)
    means_G = right.reshape(200, 5).mean(axis=1)
    error = means_G.std() / np.sqrt(200)
    found = interval(accuracy, np.zeros(1000, dtype=int), one_hot(1 - right, 2), groups, 4000, np.random.default_rng(2))
    assert found.estimate == pytest.approx(means_G.mean())
    assert found.low == pytest.approx(means_G.mean() - 1.96 * error, abs=0.15 * error)
    assert found.high == pytest.approx(means_G.mean() + 1.96 * error, abs=0.15 * error)


def clustered(seed: int, groups: int = 50, size: int = 6) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Images whose decision is right with a probability of their group's own, .75 on average."""
    rng = np.random.default_rng(seed)
    group_N = np.repeat(np.arange(groups), size)
    labels_N = np.repeat(np.arange(groups) % 2, size)
    right_N = rng.random(groups * size) < np.repeat(rng.beta(1.5, 0.5, groups), size)
    return labels_N, one_hot(np.where(right_N, labels_N, 1 - labels_N), 2), group_N


def test_clustered_intervals_keep_their_promise_and_naive_ones_do_not() -> None:
    hits = {"clustered": 0, "naive": 0}
    repetitions = 300
    for seed in range(repetitions):
        labels, decided, groups = clustered(seed)
        for kind, group in (("clustered", groups), ("naive", np.arange(groups.size))):
            found = interval(accuracy, labels, decided, group, 400, np.random.default_rng(seed))
            hits[kind] += found.low <= 0.75 <= found.high
    # 95 % promised; the standard error of 300 repetitions is 1.3 %.
    assert 0.91 <= hits["clustered"] / repetitions <= 0.985
    assert hits["naive"] / repetitions < 0.85


def test_copies_of_images_in_one_group_do_not_narrow_the_interval() -> None:
    rng = np.random.default_rng(0)
    labels = rng.integers(0, 2, 100)
    scores = two(np.clip(0.5 + 0.2 * (labels - 0.5) + 0.2 * rng.normal(size=100), 0, 1))
    once = interval(auroc, labels, scores, np.arange(100), 1000, np.random.default_rng(1))
    copies = np.repeat(np.arange(100), 4)
    grouped = interval(auroc, labels[copies], scores[copies], copies, 1000, np.random.default_rng(1))
    naive = interval(auroc, labels[copies], scores[copies], np.arange(400), 1000, np.random.default_rng(1))
    assert grouped.low == pytest.approx(once.low)
    assert grouped.high == pytest.approx(once.high)
    assert grouped.high - grouped.low > 1.5 * (naive.high - naive.low)


def test_the_same_generator_gives_the_same_interval_and_coverage_widens_it() -> None:
    labels, decided, groups = clustered(0)
    wide, again, narrow = (
        interval(accuracy, labels, decided, groups, 500, np.random.default_rng(3), coverage)
        for coverage in (0.99, 0.99, 0.8)
    )
    assert wide == again
    assert wide.low < narrow.low < narrow.estimate < narrow.high < wide.high


def test_all_statistics_share_their_resamples() -> None:
    labels, decided, groups = clustered(0)
    right, wrong = partial(accuracy, labels, decided), partial(accuracy, labels, 1 - decided)
    chunks = bootstrap_counts(groups, strata(labels, groups), 500, np.random.default_rng(0))
    found = intervals({"right": right, "wrong": wrong}, chunks)
    assert found["right"].low == pytest.approx(1 - found["wrong"].high)


def test_an_undefined_metric_has_no_numbers() -> None:
    found = interval(
        auroc, np.zeros(4, dtype=int), two([0.1, 0.2, 0.3, 0.4]), np.arange(4), 200, np.random.default_rng(0)
    )
    assert np.isnan([found.estimate, found.low, found.high]).all()


def test_ends_are_withheld_where_many_resamples_are_undefined() -> None:
    # Half of the rows give the only positive image no weight.
    chunks = [np.tile([[0.0, 1, 1], [1, 1, 1]], (100, 1))]
    statistic = partial(auroc, np.array([1, 0, 0]), two([0.9, 0.1, 0.2]))
    found = intervals({"auroc": statistic}, chunks)["auroc"]
    assert found.estimate == 1
    assert np.isnan([found.low, found.high]).all()


def calibration_intervals(sharpened: float, repetitions: int = 60):
    """Intervals of the calibration error of 200 images whose logits are `sharpened` times too large."""
    for seed in range(repetitions):
        rng = np.random.default_rng(seed)
        logit = rng.normal(0, 3, 200)
        labels = (rng.random(200) < 1 / (1 + np.exp(-logit))).astype(int)
        scores = two(1 / (1 + np.exp(-sharpened * logit)))
        yield interval(ece, labels, scores, np.arange(200), 300, rng, noise=ece_noise)


def test_the_interval_of_a_calibrated_model_reaches_zero() -> None:
    # Its true error is 0; 95 % promised, standard error of 60 repetitions 2.8 %. Plain percentiles reach it never.
    found = list(calibration_intervals(1.0))
    assert np.mean([each.low == 0 for each in found]) >= 0.87
    assert all(each.low <= each.estimate <= each.high for each in found)


def test_the_interval_of_a_badly_calibrated_model_does_not_reach_zero_and_holds_the_truth() -> None:
    # Truth by integration: |sigmoid(4 x) - sigmoid(x)| averaged over x ~ normal(0, 3).
    x = np.linspace(-20, 20, 20_001)
    density = np.exp(-(x**2) / 18)
    truth = np.average(np.abs(1 / (1 + np.exp(-4 * x)) - 1 / (1 + np.exp(-x))), weights=density)
    found = list(calibration_intervals(4.0))
    assert np.mean([each.low > 0 for each in found]) >= 0.9
    assert np.mean([each.low <= truth <= each.high for each in found]) >= 0.85


def test_the_percentiles_of_a_calibration_error_are_mirrored_at_the_estimate() -> None:
    # Estimate .1; 41 resamples at .09, .0915, ... .15, so the percentiles are .0915 and .1485: mirrored .0515, .1085.
    chunk = np.linspace(0.09, 0.15, 41)[:, None] / 0.1
    mirrored = intervals({"e": lambda w: 0.1 * w[:, 0]}, [chunk], noise={"e": lambda w: 0 * w[:, 0]})["e"]
    assert (mirrored.estimate, mirrored.low, mirrored.high) == pytest.approx((0.1, 0.0515, 0.1085))
    by_chance = intervals({"e": lambda w: 0.1 * w[:, 0]}, [chunk], noise={"e": lambda w: 0.11 + 0 * w[:, 0]})["e"]
    assert (by_chance.low, by_chance.high) == pytest.approx((0, 0.1085))
