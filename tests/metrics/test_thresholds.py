"""Thresholds against a plain search over all cuts, and by hand."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from medical_transfer.metrics.thresholds import decide, fit_threshold
from medical_transfer.types import UserError

# Labels and scores on a grid, so that ties are the rule; both classes are there.
cases = st.lists(st.tuples(st.integers(0, 1), st.integers(0, 10)), min_size=1, max_size=25).map(
    lambda rows: (np.array([0, 1, *(row[0] for row in rows)]), np.array([3, 6, *(row[1] for row in rows)]) / 10)
)


def rates(labels_N, scores_N, threshold: float) -> tuple[float, float]:
    called = scores_N >= threshold
    return float(called[labels_N == 1].mean()), float((~called[labels_N == 0]).mean())


def all_rates(labels_N, scores_N) -> list[tuple[float, float]]:
    return [rates(labels_N, scores_N, cut) for cut in [*np.unique(scores_N), 2.0]]


@settings(max_examples=80, deadline=None)
@given(cases)
def test_youden_is_the_best_of_all_cuts(case) -> None:
    labels, scores = case
    best = max(sum(pair) for pair in all_rates(labels, scores))
    assert sum(rates(labels, scores, fit_threshold(labels, scores, "youden"))) == pytest.approx(best)


@settings(max_examples=80, deadline=None)
@given(cases, st.sampled_from([0.5, 0.8, 0.95, 1.0]))
def test_a_target_is_reached_at_the_least_cost(case, target: float) -> None:
    labels, scores = case
    every = all_rates(labels, scores)
    sensitivity, specificity = rates(labels, scores, fit_threshold(labels, scores, "sensitivity", target))
    assert sensitivity >= target - 1e-9
    assert specificity == max(pair[1] for pair in every if pair[0] >= target - 1e-9)
    sensitivity, specificity = rates(labels, scores, fit_threshold(labels, scores, "specificity", target))
    assert specificity >= target - 1e-9
    assert sensitivity == max(pair[0] for pair in every if pair[1] >= target - 1e-9)


@settings(max_examples=40, deadline=None)
@given(cases, st.randoms(use_true_random=False))
def test_the_order_of_images_does_not_matter(case, shuffler) -> None:
    labels, scores = case
    order = list(range(labels.size))
    shuffler.shuffle(order)
    assert fit_threshold(labels[order], scores[order], "youden") == fit_threshold(labels, scores, "youden")


def test_the_threshold_lies_half_way_between_neighbours() -> None:
    assert fit_threshold(np.array([0, 0, 1, 1]), np.array([0.1, 0.3, 0.6, 0.9]), "youden") == pytest.approx(0.45)


def test_of_equally_good_thresholds_the_one_nearest_to_one_half_wins() -> None:
    # Sensitivity + specificity of the three cuts between the four scores: .15 and .75 tie, .75 is nearer to one half.
    labels, scores = np.array([0, 1, 0, 1]), np.array([0.1, 0.2, 0.7, 0.8])
    assert [sum(rates(labels, scores, cut)) for cut in (0.15, 0.45, 0.75)] == [1.5, 1.0, 1.5]
    assert fit_threshold(labels, scores, "youden") == pytest.approx(0.75)


def test_a_constant_score_gives_a_threshold_all_the_same() -> None:
    assert 0 <= fit_threshold(np.array([0, 1]), np.array([0.3, 0.3]), "youden") <= 1


def test_neighbouring_floats_are_still_separated() -> None:
    low = 0.4
    high = float(np.nextafter(low, 1))
    labels, scores = np.array([0, 1]), np.array([low, high])
    assert rates(labels, scores, fit_threshold(labels, scores, "youden")) == (1, 1)


@settings(max_examples=60, deadline=None)
@given(st.lists(st.tuples(st.integers(1, 20), st.integers(0, 20)), min_size=2, max_size=8))
def test_of_calibrated_scores_no_cut_beats_the_prevalence(cells) -> None:
    # A score k/20 with n images, n k / 20 of them positive in expectation: the score is calibrated by construction.
    counts, tenths = (np.array(column) for column in zip(*cells, strict=True))
    positive, negative = counts * tenths / 20, counts * (20 - tenths) / 20
    if not 0 < positive.sum() < counts.sum():
        return
    labels = np.repeat([1, 0], [round(positive.sum() * 20), round(negative.sum() * 20)])
    cut = fit_threshold(labels, np.full(labels.size, 0.5), "prevalence")

    def merit(threshold: float) -> float:
        called = tenths / 20 >= threshold
        return float(positive[called].sum() / positive.sum() - negative[called].sum() / negative.sum())

    assert merit(cut - 1e-9) == pytest.approx(max(merit(each) for each in [*tenths / 20, 2.0]))


def test_one_half_needs_no_images_and_the_other_rules_need_both_classes() -> None:
    assert fit_threshold(np.array([1, 1]), np.array([0.9, 0.8]), "half") == 0.5
    with pytest.raises(UserError, match=r"2 positive and 0 negative .* evaluation.threshold=half"):
        fit_threshold(np.array([1, 1]), np.array([0.9, 0.8]), "prevalence")


def test_decisions() -> None:
    probabilities = np.array([[0.7, 0.3], [0.6, 0.4], [0.2, 0.8]])
    np.testing.assert_array_equal(decide(probabilities), [0, 0, 1])
    np.testing.assert_array_equal(decide(probabilities, 0.4), [0, 1, 1])  # at the threshold: positive
    np.testing.assert_array_equal(decide(probabilities, 0.65, positive=0), [0, 1, 1])
    np.testing.assert_array_equal(decide(np.array([[0.2, 0.3, 0.5]])), [2])
    with pytest.raises(ValueError, match="two classes, not 3"):
        decide(np.array([[0.2, 0.3, 0.5]]), 0.5)


@pytest.mark.parametrize("ratio", [0.25, 1.0, 4.0, 99.0])
def test_costs_put_the_threshold_where_both_mistakes_cost_the_same(ratio: float) -> None:
    threshold = fit_threshold(np.array([1, 1, 1]), np.array([0.2, 0.3, 0.9]), "costs", cost_ratio=ratio)
    assert threshold * ratio == pytest.approx(1 - threshold)
    # of calibrated probabilities it costs least
    p = np.linspace(0.0005, 0.9995, 1000)
    costs = [(ratio * p[p < cut]).sum() + (1 - p[p >= cut]).sum() for cut in p]
    assert p[int(np.argmin(costs))] == pytest.approx(threshold, abs=0.0011)
