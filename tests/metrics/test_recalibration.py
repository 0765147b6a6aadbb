"""An intercept is what maximum likelihood says, changes no order, and is judged on images it was not fitted to."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.optimize import minimize
from scipy.special import expit, logit

from medical_transfer.metrics.recalibration import fit_intercepts, recalibrated_elsewhere, with_intercepts


def shifted(images: int, classes: int, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Probabilities, and labels drawn from them under another prevalence."""
    rng = np.random.default_rng(seed)
    logits = rng.normal(size=(images, classes)) * 1.5
    true = np.exp(logits + np.linspace(0, 1.5, classes))
    true /= true.sum(axis=1, keepdims=True)
    labels = (true.cumsum(axis=1) > rng.random((images, 1))).argmax(axis=1)
    odds = np.exp(logits)
    return odds / odds.sum(axis=1, keepdims=True), labels


@pytest.mark.parametrize("classes", [2, 4])
def test_intercepts_are_those_of_a_general_optimiser_and_match_the_shares(classes: int) -> None:
    p_NC, labels_N = shifted(400, classes)
    found = fit_intercepts(p_NC, labels_N)

    def loss(free: np.ndarray) -> float:
        logits = np.log(p_NC) + np.concatenate([[0.0], free])
        return float(-(logits[np.arange(400), labels_N] - np.log(np.exp(logits).sum(axis=1))).sum())

    expected = minimize(loss, np.zeros(classes - 1), tol=1e-12).x
    assert found is not None
    np.testing.assert_allclose(found, [0.0, *expected], atol=1e-4)
    shares = np.bincount(labels_N, minlength=classes) / 400
    np.testing.assert_allclose(with_intercepts(p_NC, found).mean(axis=0), shares, atol=1e-9)


def test_with_two_classes_it_is_an_intercept_of_the_logit() -> None:
    p_N = np.array([0.1, 0.4, 0.9])
    changed = with_intercepts(np.stack([1 - p_N, p_N], axis=1), np.array([0.0, 0.7]))
    np.testing.assert_allclose(changed[:, 1], expit(logit(p_N) + 0.7))


def test_certain_probabilities_and_far_shifts_stay_finite() -> None:
    p_NC = np.array([[1.0, 0.0]] * 5 + [[0.0, 1.0]] * 5)
    labels_N = np.array([0] * 4 + [1] * 6)
    found = fit_intercepts(p_NC, labels_N)
    assert found is not None
    assert np.isfinite(found).all()
    far = np.full((100, 2), [0.999999, 1e-6])
    assert fit_intercepts(far, np.repeat([0, 1], 50))[1] == pytest.approx(logit(0.5) - logit(1e-6), abs=1e-6)


def test_a_missing_class_has_no_intercept() -> None:
    assert fit_intercepts(np.full((4, 2), 0.5), np.zeros(4, int)) is None


def test_each_group_is_changed_by_the_labels_of_the_others() -> None:
    p_NC, labels_N = shifted(200, 2)
    groups_N = np.repeat(np.arange(50), 4)
    labels_N[groups_N == 7] = 0
    changed = recalibrated_elsewhere(p_NC, labels_N, groups_N, np.random.default_rng(0))
    flipped = np.where(groups_N == 7, 1, labels_N)
    again = recalibrated_elsewhere(p_NC, flipped, groups_N, np.random.default_rng(0))
    np.testing.assert_array_equal(again[groups_N == 7], changed[groups_N == 7])
    assert (again != changed).any()
    assert recalibrated_elsewhere(p_NC, labels_N, groups_N % 4, np.random.default_rng(0)) is None
    rare = np.where(groups_N == 3, 1, 0)
    assert recalibrated_elsewhere(p_NC, rare, groups_N, np.random.default_rng(0)) is None
