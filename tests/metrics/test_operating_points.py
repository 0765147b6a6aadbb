"""Sensitivity at a fixed specificity against every cut of scikit-learn's ROC curve; predictive values by Bayes."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import roc_curve

from medical_transfer.metrics.classification import one_hot
from medical_transfer.metrics.operating_points import sensitivity_at, specificity_at
from medical_transfer.metrics.predictive_values import npv_at, ppv_at

cases = st.lists(st.tuples(st.integers(0, 1), st.integers(0, 8), st.integers(0, 3)), max_size=25).map(
    lambda rows: tuple(np.array(column) for column in zip(*[(0, 2, 1), (1, 5, 2), *rows], strict=True))
)


def two(scores) -> np.ndarray:
    return np.stack([1 - scores / 8, scores / 8], axis=1)


@settings(max_examples=80, deadline=None)
@given(cases, st.sampled_from([0.0, 0.5, 0.8, 0.95, 1.0]))
def test_the_best_of_all_cuts_that_keep_the_fixed_rate(case, fixed: float) -> None:
    labels, scores, weights = case
    false_alarms, hits, _ = roc_curve(labels, scores, sample_weight=weights, drop_intermediate=False)
    rows = weights[None].astype(float)
    best = max(hit for hit, alarm in zip(hits, false_alarms, strict=True) if 1 - alarm >= fixed - 1e-9)
    assert sensitivity_at(labels, two(scores), rows, specificity=fixed)[0] == pytest.approx(best)
    best = max(1 - alarm for hit, alarm in zip(hits, false_alarms, strict=True) if hit >= fixed - 1e-9)
    assert specificity_at(labels, two(scores), rows, sensitivity=fixed)[0] == pytest.approx(best)


def test_by_hand() -> None:
    # Of four negatives none may be called at .95 (one is a quarter): of three positives only the one above all is left.
    labels, scores = np.array([1, 1, 1, 0, 0, 0, 0]), np.array([8, 5, 4, 6, 3, 2, 1])
    ones = np.ones((1, 7))
    assert sensitivity_at(labels, two(scores), ones, specificity=0.95)[0] == pytest.approx(1 / 3)
    assert sensitivity_at(labels, two(scores), ones, specificity=0.75)[0] == pytest.approx(1)
    assert specificity_at(labels, two(scores), ones, sensitivity=0.95)[0] == pytest.approx(3 / 4)
    assert specificity_at(labels, two(scores), ones, sensitivity=1 / 3)[0] == pytest.approx(1)


def test_without_a_class_there_is_no_rate() -> None:
    for label in (0, 1):
        labels, ones = np.full(3, label), np.ones((1, 3))
        assert np.isnan(sensitivity_at(labels, two(np.arange(3)), ones, specificity=0.9)).all()
        assert np.isnan(specificity_at(labels, two(np.arange(3)), ones, sensitivity=0.9)).all()


def test_predictive_values_of_a_textbook() -> None:
    # Sensitivity .9, specificity .8: of 1000 people, 10 of them ill, 9 + 198 are called, and 1 of 793 cleared is ill.
    labels = np.repeat([1, 0], [10, 10])
    decided = one_hot(np.concatenate([np.repeat([1, 0], [9, 1]), np.repeat([1, 0], [2, 8])]), 2)
    ones = np.ones((1, 20))
    assert ppv_at(labels, decided, ones, prevalence=0.01)[0] == pytest.approx(9 / 207)
    assert npv_at(labels, decided, ones, prevalence=0.01)[0] == pytest.approx(792 / 793)
    assert ppv_at(labels, decided, ones, prevalence=0.5)[0] == pytest.approx(9 / 11), "at their own prevalence: counted"
    assert npv_at(labels, decided, ones, prevalence=0.5)[0] == pytest.approx(8 / 9)
    assert np.isnan(ppv_at(labels, one_hot(np.zeros(20, dtype=int), 2), ones, prevalence=0.1)).all()


@settings(max_examples=40, deadline=None)
@given(cases)
def test_at_the_prevalence_of_the_sample_predictive_values_are_counts(case) -> None:
    labels, scores, _ = case
    called = (scores >= 4).astype(int)
    ones, decided = np.ones((1, labels.size)), one_hot(called, 2)
    if called.any():
        expected = labels[called == 1].mean()
        assert ppv_at(labels, decided, ones, prevalence=labels.mean())[0] == pytest.approx(expected)
    if not called.all():
        expected = 1 - labels[called == 0].mean()
        assert npv_at(labels, decided, ones, prevalence=labels.mean())[0] == pytest.approx(expected)
