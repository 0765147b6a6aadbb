"""Metrics against scikit-learn with weights, and against small cases worked out by hand."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from sklearn import metrics as reference

from medical_transfer.metrics import BINARY_DECISION_METRICS, DECISION_METRICS, PROBABILITY_METRICS
from medical_transfer.metrics import classification as ours

CLOSE = {"rtol": 1e-9, "atol": 1e-9}

# Scores on a coarse grid, so that ties are the rule; weights are counts (as in a bootstrap) or real numbers.
counts = st.integers(0, 3).map(float)
reals = st.floats(0.1, 3)


@st.composite
def weighted_cases(draw: st.DrawFn, classes: int, weight: st.SearchStrategy[float]):
    images = draw(st.integers(classes, 30))
    labels_N = np.array(
        [*range(classes), *draw(st.lists(st.integers(0, classes - 1), min_size=images, max_size=images))]
    )
    grid_NC = draw(st.lists(st.tuples(*[st.integers(1, 6)] * classes), min_size=labels_N.size, max_size=labels_N.size))
    probabilities_NC = np.array(grid_NC, dtype=float)
    probabilities_NC /= probabilities_NC.sum(axis=1, keepdims=True)
    weights_N = np.array(draw(st.lists(weight, min_size=labels_N.size, max_size=labels_N.size)))
    assume(all(weights_N[labels_N == k].sum() > 0 for k in range(classes)))
    return labels_N, probabilities_NC, weights_N


def at(metric, labels_N, scores_NC, weights_N=None, **options) -> float:
    weights_N = np.ones(len(labels_N)) if weights_N is None else weights_N
    (value,) = metric(np.asarray(labels_N), np.asarray(scores_NC, dtype=float), np.asarray(weights_N)[None], **options)
    return float(value)


def sklearn_mcc(labels_N, decided_N, weights_N) -> float:
    if np.unique(decided_N[weights_N > 0]).size == 1:
        return 0.0  # what scikit-learn documents; with real weights it divides rounding errors instead
    return reference.matthews_corrcoef(labels_N, decided_N, sample_weight=weights_N)


def two(scores_N) -> np.ndarray:
    scores_N = np.asarray(scores_N, dtype=float)
    return np.stack([1 - scores_N, scores_N], axis=1)


@settings(max_examples=80, deadline=None)
@given(st.one_of(weighted_cases(2, counts), weighted_cases(2, reals)))
def test_two_classes_agree_with_sklearn_under_weights_and_ties(case) -> None:
    labels, probabilities, weights = case
    score = probabilities[:, 1]
    expected = {
        "auroc": reference.roc_auc_score(labels, score, sample_weight=weights),
        "auprc": reference.average_precision_score(labels, score, sample_weight=weights),
        "brier": reference.brier_score_loss(labels, score, sample_weight=weights),
        "log_loss": reference.log_loss(labels, probabilities, sample_weight=weights),
    }
    for name, value in expected.items():
        np.testing.assert_allclose(at(PROBABILITY_METRICS[name], labels, probabilities, weights), value, **CLOSE)

    decided = probabilities.argmax(axis=1)
    expected = {
        "accuracy": reference.accuracy_score(labels, decided, sample_weight=weights),
        "balanced_accuracy": reference.balanced_accuracy_score(labels, decided, sample_weight=weights),
        "mcc": sklearn_mcc(labels, decided, weights),
        "sensitivity": reference.recall_score(labels, decided, sample_weight=weights),
        "specificity": reference.recall_score(labels, decided, pos_label=0, sample_weight=weights),
    }
    menu = {**DECISION_METRICS, **BINARY_DECISION_METRICS}
    assert menu.keys() == expected.keys()
    for name, value in expected.items():
        np.testing.assert_allclose(at(menu[name], labels, ours.one_hot(decided, 2), weights), value, **CLOSE)


@settings(max_examples=40, deadline=None)
@given(st.one_of(weighted_cases(4, counts), weighted_cases(4, reals)))
def test_four_classes_agree_with_sklearn_under_weights_and_ties(case) -> None:
    labels, probabilities, weights = case
    rest = [reference.roc_auc_score(labels == k, probabilities[:, k], sample_weight=weights) for k in range(4)]
    precision = [
        reference.average_precision_score(labels == k, probabilities[:, k], sample_weight=weights) for k in range(4)
    ]
    squared = ((probabilities - np.eye(4)[labels]) ** 2).sum(axis=1)
    decided = probabilities.argmax(axis=1)
    decided_NC = ours.one_hot(decided, 4)
    pairs = [
        (at(ours.auroc, labels, probabilities, weights), np.mean(rest)),
        (at(ours.class_auroc, labels, probabilities, weights, of=2), rest[2]),
        (at(ours.auprc, labels, probabilities, weights), np.mean(precision)),
        (at(ours.brier, labels, probabilities, weights), np.average(squared, weights=weights)),
        (
            at(ours.log_loss, labels, probabilities, weights),
            reference.log_loss(labels, probabilities, sample_weight=weights),
        ),
        (
            at(ours.accuracy, labels, decided_NC, weights),
            reference.accuracy_score(labels, decided, sample_weight=weights),
        ),
        (
            at(ours.balanced_accuracy, labels, decided_NC, weights),
            reference.balanced_accuracy_score(labels, decided, sample_weight=weights),
        ),
        (
            at(ours.mcc, labels, decided_NC, weights),
            sklearn_mcc(labels, decided, weights),
        ),
    ]
    for found, expected in pairs:
        np.testing.assert_allclose(found, expected, **CLOSE)


def test_auroc_by_hand() -> None:
    # Positives .9, .5; negatives .5, .1. Pairs: .9>.5, .9>.1, .5=.5 (half), .5>.1 -> 3.5 of 4.
    assert at(ours.auroc, [1, 1, 0, 0], two([0.9, 0.5, 0.5, 0.1])) == 3.5 / 4


def test_auprc_by_hand() -> None:
    # From the top: + (precision 1), - , + (2/3). Average over the two positives: (1 + 2/3) / 2.
    assert at(ours.auprc, [1, 0, 1, 0], two([0.9, 0.8, 0.7, 0.1])) == pytest.approx((1 + 2 / 3) / 2)


def test_a_coin_has_the_prevalence_as_auprc() -> None:
    assert at(ours.auprc, [1, 0, 0, 0], two([0.4] * 4)) == pytest.approx(1 / 4)


def test_brier_and_log_loss_by_hand() -> None:
    # (1-.8)^2 = .04 and .3^2 = .09.
    assert at(ours.brier, [1, 0], two([0.8, 0.3])) == pytest.approx((0.04 + 0.09) / 2)
    # Three classes: .5^2 + .3^2 + .2^2, with the truth in the first.
    assert at(ours.brier, [0], [[0.5, 0.3, 0.2]]) == pytest.approx(0.25 + 0.09 + 0.04)
    assert at(ours.log_loss, [1, 0], two([0.8, 0.3])) == pytest.approx(-(np.log(0.8) + np.log(0.7)) / 2)
    assert np.isfinite(at(ours.log_loss, [1], two([0.0])))


def test_mcc_by_hand() -> None:
    # TP 3, TN 2, FP 1, FN 1: (3*2 - 1*1) / sqrt(4 * 4 * 3 * 3) = 5/12.
    labels, decided = [1, 1, 1, 1, 0, 0, 0], np.array([1, 1, 1, 0, 0, 0, 1])
    assert at(ours.mcc, labels, ours.one_hot(decided, 2)) == pytest.approx(5 / 12)


def test_the_same_decision_for_all_has_no_correlation() -> None:
    weights = np.full(6, 0.1)
    assert at(ours.mcc, [0, 1, 2, 0, 1, 2], ours.one_hot(np.zeros(6, dtype=int), 3), weights) == 0


def test_confusion_matrix_has_the_truth_in_rows() -> None:
    np.testing.assert_array_equal(
        ours.confusion_matrix(np.array([0, 0, 1, 2]), np.array([0, 1, 1, 0]), 3), [[1, 1, 0], [0, 1, 0], [1, 0, 0]]
    )


NEEDS = {
    "auroc": {"both"},
    "auprc": {"both"},
    "balanced_accuracy": {"both"},
    "mcc": {"both"},
    "sensitivity": {"positive"},
    "specificity": {"negative"},
    "brier": set(),
    "log_loss": set(),
    "ece": set(),
    "accuracy": set(),
}


@pytest.mark.parametrize("name", NEEDS)
@pytest.mark.parametrize("only", [0, 1])
def test_a_metric_without_a_class_that_it_needs_is_nan(name: str, only: int) -> None:
    menu = {**PROBABILITY_METRICS, **DECISION_METRICS, **BINARY_DECISION_METRICS}
    assert menu.keys() == NEEDS.keys()
    there = {"negative", "positive"}.difference({"positive"} if only == 0 else {"negative"})
    missing = NEEDS[name] - there
    assert np.isnan(at(menu[name], [only] * 3, two([1, 0, 1]))) == bool(missing)


def test_one_missing_class_of_three_makes_the_averages_nan_and_leaves_the_others() -> None:
    labels, probabilities = [0, 1, 0], [[0.6, 0.3, 0.1], [0.2, 0.7, 0.1], [0.5, 0.3, 0.2]]
    for metric in (ours.auroc, ours.auprc, ours.balanced_accuracy):
        assert np.isnan(at(metric, labels, probabilities))
    assert at(ours.class_auroc, labels, probabilities, of=0) == 1
    assert np.isnan(at(ours.class_auroc, labels, probabilities, of=2))


def test_a_class_without_weight_in_one_resample_makes_that_resample_nan_only() -> None:
    weights_BN = np.array([[1.0, 1, 1], [0, 2, 1]])
    values = ours.auroc(np.array([1, 0, 0]), two([0.9, 0.1, 0.2]), weights_BN)
    np.testing.assert_array_equal(values, [1, np.nan])


@settings(max_examples=30, deadline=None)
@given(weighted_cases(2, counts))
def test_ranking_metrics_see_only_the_order(case) -> None:
    labels, probabilities, weights = case
    moved = two(probabilities[:, 1] ** 3 / 2)
    for metric in (ours.auroc, ours.auprc):
        np.testing.assert_allclose(
            at(metric, labels, moved, weights), at(metric, labels, probabilities, weights), **CLOSE
        )


@settings(max_examples=30, deadline=None)
@given(weighted_cases(2, reals))
def test_swapping_the_classes_mirrors_the_ranking(case) -> None:
    labels, probabilities, weights = case
    value = at(ours.auroc, labels, probabilities, weights)
    np.testing.assert_allclose(at(ours.auroc, 1 - labels, probabilities, weights), 1 - value, **CLOSE)
    np.testing.assert_allclose(at(ours.auroc, 1 - labels, probabilities[:, ::-1], weights), value, **CLOSE)


@settings(max_examples=30, deadline=None)
@given(weighted_cases(3, counts))
def test_a_weight_is_a_repetition_and_rows_are_independent(case) -> None:
    labels, probabilities, weights = case
    repeated = np.repeat(np.arange(labels.size), weights.astype(int))
    other = np.arange(labels.size, dtype=float) + 1
    for metric in (*PROBABILITY_METRICS.values(), *DECISION_METRICS.values()):
        if metric is PROBABILITY_METRICS["ece"]:
            continue  # its bins are cut on the sample, not on the repetition
        both = metric(labels, probabilities, np.stack([other, weights]))
        np.testing.assert_allclose(both[1], at(metric, labels[repeated], probabilities[repeated]), **CLOSE)
