"""Shares of classes under label shift: recovered where the model is right, and by hand."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.optimize import minimize_scalar

from medical_transfer.metrics.prior_shift import by_confusion, by_maximum_likelihood


def batch(share: float, images: int, seed: int, *, trained_at: float = 0.5) -> tuple[np.ndarray, np.ndarray]:
    """Calibrated probabilities (for the share `trained_at`) of unit Gaussians two apart, and true labels."""
    rng = np.random.default_rng(seed)
    labels = (rng.random(images) < share).astype(int)
    x = rng.normal(2 * labels)
    odds = trained_at / (1 - trained_at) * np.exp(2 * x - 2)
    positive = odds / (1 + odds)
    return np.stack([1 - positive, positive], axis=1), labels


@pytest.mark.parametrize("share", [0.05, 0.3, 0.9])
def test_both_find_the_shares_of_a_shifted_batch(share: float) -> None:
    prior = np.array([0.8, 0.2])
    p_NC, _ = batch(share, 20_000, 0, trained_at=0.2)
    val_NC, val_labels = batch(0.2, 20_000, 1, trained_at=0.2)
    assert by_maximum_likelihood(p_NC, prior)[1] == pytest.approx(share, abs=0.015)
    found = by_confusion(p_NC.argmax(axis=1), val_NC.argmax(axis=1), val_labels, 2)
    assert found[1] == pytest.approx(share, abs=0.03)


def test_maximum_likelihood_is_that_of_a_general_optimiser() -> None:
    p_NC, _ = batch(0.3, 60, 2)

    def loss(share: float) -> float:
        return -np.log(p_NC @ np.array([(1 - share) / 0.5, share / 0.5])).sum()

    expected = minimize_scalar(loss, bounds=(0, 1), method="bounded", options={"xatol": 1e-9}).x
    assert by_maximum_likelihood(p_NC, np.array([0.5, 0.5]))[1] == pytest.approx(expected, abs=1e-5)


def test_by_confusion_by_hand() -> None:
    # Of true 0 a quarter is called 1, of true 1 a half. Called 1: .4 = .25 (1 - s) + .5 s, so s = .6.
    val_labels, val_called = np.array([0, 0, 0, 0, 1, 1]), np.array([0, 0, 0, 1, 0, 1])
    called = np.array([1] * 4 + [0] * 6)
    np.testing.assert_allclose(by_confusion(called, val_called, val_labels, 2), [0.4, 0.6])
    # nobody is called 1: less than the false alarms alone, so the share is cut at 0
    np.testing.assert_allclose(by_confusion(np.zeros(5, int), val_called, val_labels, 2), [1, 0])


def test_what_the_model_cannot_tell_apart_has_no_shares() -> None:
    same = np.array([0, 1, 0, 1])
    assert by_confusion(same, same, np.array([0, 0, 1, 1]), 2) is None
    assert by_confusion(same, same, np.zeros(4, int), 2) is None
