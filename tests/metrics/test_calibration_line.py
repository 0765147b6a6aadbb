"""Slope and intercept of the calibration line against other fits of the same line, and where there is none."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.optimize import brentq
from sklearn.linear_model import LogisticRegression

from medical_transfer.metrics.calibration_line import calibration_intercept, calibration_slope, log_odds


def stated(log_odds_N) -> np.ndarray:
    probability_N = 1 / (1 + np.exp(-np.asarray(log_odds_N, dtype=float)))
    return np.stack([1 - probability_N, probability_N], axis=1)


def drawn(seed: int, *, slope: float = 1.0, intercept: float = 0.0, images: int = 300):
    """Labels drawn so that the line has this slope and intercept, and the stated probabilities."""
    rng = np.random.default_rng(seed)
    logit_N = rng.normal(0.3, 1.5, images)
    labels_N = (rng.random(images) < stated(intercept + slope * logit_N)[:, 1]).astype(int)
    return labels_N, stated(logit_N), rng.integers(0, 3, size=(3, images)).astype(float)


@pytest.mark.parametrize(("seed", "slope", "intercept"), [(0, 1, 0), (1, 0.5, 1), (2, 2, -1)])
def test_the_line_is_the_one_that_other_fits_find(seed: int, slope: float, intercept: float) -> None:
    labels, probabilities, weights = drawn(seed, slope=slope, intercept=intercept)
    logit = log_odds(probabilities)
    for row, found, offset in zip(
        weights,
        calibration_slope(labels, probabilities, weights),
        calibration_intercept(labels, probabilities, weights),
        strict=True,
    ):
        fit = LogisticRegression(C=np.inf, tol=1e-10, max_iter=1000).fit(logit[:, None], labels, sample_weight=row)
        assert found == pytest.approx(float(fit.coef_[0, 0]), rel=1e-4)
        # In the large: the expected number of positives is the number found.
        root = brentq(lambda shift, row=row: float(row @ (labels - stated(logit + shift)[:, 1])), -10, 10)
        assert offset == pytest.approx(root, abs=1e-6)


def test_many_images_show_the_line_that_they_were_drawn_from() -> None:
    labels, probabilities, _ = drawn(3, slope=0.6, images=40_000)
    ones = np.ones((1, labels.size))
    assert calibration_slope(labels, probabilities, ones)[0] == pytest.approx(0.6, abs=0.05)
    labels, probabilities, _ = drawn(4, intercept=-0.7, images=40_000)
    assert calibration_slope(labels, probabilities, ones)[0] == pytest.approx(1, abs=0.05)
    assert calibration_intercept(labels, probabilities, ones)[0] == pytest.approx(-0.7, abs=0.05)


def test_a_temperature_divides_the_slope() -> None:
    labels, probabilities, weights = drawn(5)
    cooler = stated(log_odds(probabilities) * 2)
    np.testing.assert_allclose(
        2 * calibration_slope(labels, cooler, weights), calibration_slope(labels, probabilities, weights), rtol=1e-6
    )


def test_where_there_is_no_line() -> None:
    ones = np.ones((1, 4))
    labels = np.array([0, 0, 1, 1])
    parted, constant = stated([-2, -1, 1, 2]), stated([0.3, 0.3, 0.3, 0.3])
    assert np.isnan(calibration_slope(labels, parted, ones)).all(), "no slope is steep enough"
    assert np.isnan(calibration_slope(labels, constant, ones)).all()
    assert np.isnan(calibration_slope(np.ones(4, dtype=int), parted, ones)).all()
    assert np.isnan(calibration_intercept(np.ones(4, dtype=int), parted, ones)).all()
    assert calibration_intercept(labels, constant, ones)[0] == pytest.approx(-0.3)
    # A resample without a class is undefined alone.
    found = calibration_intercept(labels, parted, np.array([[1.0, 1, 1, 1], [1, 1, 0, 0]]))
    assert np.isnan(found).tolist() == [False, True]


def test_probabilities_of_exactly_0_and_1_have_finite_log_odds() -> None:
    probabilities = np.array([[1.0, 0.0], [0.0, 1.0], [0.4, 0.6], [0.7, 0.3], [1.0, 0.0]])
    labels, ones = np.array([0, 1, 0, 1, 1]), np.ones((1, 5))
    assert np.isfinite(log_odds(probabilities)).all()
    assert np.isfinite(calibration_slope(labels, probabilities, ones)).all()
    assert np.isfinite(calibration_intercept(labels, probabilities, ones)).all()
