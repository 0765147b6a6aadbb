"""Calibration error by hand and by a plain loop; the temperature against a grid and against known answers."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.special import softmax

from medical_transfer.metrics.calibration import (
    apply_temperature,
    ece,
    ece_noise,
    fit_temperature,
    reliability,
)


def two(scores_N) -> np.ndarray:
    scores_N = np.asarray(scores_N, dtype=float)
    return np.stack([1 - scores_N, scores_N], axis=1)


def calibrated(images: int, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Logits (N, 2) whose softmax is the true probability of the drawn labels (N,)."""
    rng = np.random.default_rng(seed)
    logit_N = rng.normal(0, 2, images)
    labels_N = (rng.random(images) < 1 / (1 + np.exp(-logit_N))).astype(int)
    return np.stack([np.zeros(images), logit_N], axis=1), labels_N


def test_equal_width_by_hand() -> None:
    # Bins (0, .5], (.5, 1]. First: mean .3, one of two true (.5): gap .2. Second: mean .8, all true: gap .2.
    labels, probabilities = np.array([0, 1, 1, 1]), two([0.2, 0.4, 0.7, 0.9])
    np.testing.assert_allclose(ece(labels, probabilities, np.ones((1, 4)), bins=2, adaptive=False), [0.2])
    table = reliability(labels, probabilities, bins=2, adaptive=False)
    np.testing.assert_allclose(table.low_K, [0, 0.5])
    np.testing.assert_allclose(table.high_K, [0.5, 1])
    np.testing.assert_array_equal(table.count_K, [2, 2])
    np.testing.assert_allclose(table.probability_K, [0.3, 0.8])
    np.testing.assert_allclose(table.frequency_K, [0.5, 1])
    assert table.error == pytest.approx(0.2)


def test_equal_mass_by_hand() -> None:
    # Three bins of two: {.01, .02}, {.03, .04}, {.05, .95}; equal width would put five of six into one.
    labels, probabilities = np.array([0, 0, 0, 1, 0, 1]), two([0.01, 0.02, 0.03, 0.04, 0.05, 0.95])
    table = reliability(labels, probabilities, bins=3)
    np.testing.assert_array_equal(table.count_K, [2, 2, 2])
    np.testing.assert_allclose(table.probability_K, [0.015, 0.035, 0.5])
    np.testing.assert_allclose(table.frequency_K, [0, 0.5, 0.5])
    found = ece(labels, probabilities, np.ones((1, 6)), bins=3)
    np.testing.assert_allclose(found, [(0.015 + 0.465 + 0) / 3])


def test_more_than_two_classes_are_judged_by_the_most_probable_one() -> None:
    # Confidence .6 and .8 in one bin, one right: |.7 - .5|.
    probabilities = np.array([[0.6, 0.3, 0.1], [0.1, 0.1, 0.8]])
    np.testing.assert_allclose(ece(np.array([0, 1]), probabilities, np.ones((1, 2)), bins=2, adaptive=False), [0.2])


def test_an_empty_bin_is_shown_and_does_not_count() -> None:
    table = reliability(np.array([0, 1]), two([0.1, 0.9]), bins=3, adaptive=False)
    np.testing.assert_array_equal(table.count_K, [1, 0, 1])
    assert np.isnan(table.probability_K[1])
    assert table.error == pytest.approx(0.1)


def test_equal_probabilities_share_a_bin() -> None:
    table = reliability(np.array([0, 1, 0, 1, 1]), two([0.5] * 5), bins=4)
    np.testing.assert_array_equal(table.count_K, [5])
    assert table.error == pytest.approx(0.1)


@settings(max_examples=60, deadline=None)
@given(
    st.lists(st.tuples(st.integers(0, 1), st.integers(0, 20), st.integers(0, 3)), min_size=1, max_size=40),
    st.integers(2, 8),
)
def test_equal_width_agrees_with_a_plain_loop_under_weights(rows, bins: int) -> None:
    labels, scores, weights = (np.array(column) for column in zip(*rows, strict=True))
    scores = scores / 20
    if weights.sum() == 0:
        weights[0] = 1
    expected = 0.0
    for k in range(bins):
        inside = (scores > k / bins) & (scores <= (k + 1) / bins) | ((k == 0) & (scores == 0))
        mass = weights[inside].sum()
        if mass:
            gap = np.average(scores[inside], weights=weights[inside]) - np.average(
                labels[inside], weights=weights[inside]
            )
            expected += mass / weights.sum() * abs(gap)
    found = ece(labels, two(scores), weights[None].astype(float), bins=bins, adaptive=False)
    np.testing.assert_allclose(found, [expected], atol=1e-12)


@settings(max_examples=40, deadline=None)
@given(st.lists(st.tuples(st.integers(0, 1), st.integers(0, 9)), min_size=1, max_size=40), st.integers(2, 8))
def test_the_table_adds_up_to_the_error(rows, bins: int) -> None:
    labels, scores = (np.array(column) for column in zip(*rows, strict=True))
    for adaptive in (True, False):
        table = reliability(labels, two(scores / 9), bins=bins, adaptive=adaptive)
        assert table.count_K.sum() == labels.size
        found = ece(labels, two(scores / 9), np.ones((1, labels.size)), bins=bins, adaptive=adaptive)
        np.testing.assert_allclose(found, [table.error], atol=1e-12)


def test_equal_mass_bins_differ_by_at_most_one_image() -> None:
    logits, labels = calibrated(452)
    counts = reliability(labels, apply_temperature(logits, 1.0), bins=15).count_K
    assert counts.size == 15
    assert counts.max() - counts.min() <= 1


def test_noise_is_the_departure_from_the_gaps_of_the_sample() -> None:
    labels, probabilities = np.array([0, 1]), two([0.1, 0.7])
    # Gaps .1 and -.3. Only the first image, twice: gaps move to (.2, 0) of 2, away from (.1, -.3) of 2.
    found = ece_noise(labels, probabilities, np.array([[1.0, 1], [2, 0]]), bins=2, adaptive=False)
    np.testing.assert_allclose(found, [0, (0.1 + 0.3) / 2], atol=1e-15)


def smoothed_loss(logits_NC: np.ndarray, labels_N: np.ndarray, temperature: float) -> float:
    """Log-loss with Platt's targets, image by image."""
    total, classes = 0.0, logits_NC.shape[1]
    for logit_C, label in zip(logits_NC, labels_N, strict=True):
        images = int((labels_N == label).sum())
        probability_C = np.exp(logit_C / temperature) / np.exp(logit_C / temperature).sum()
        for k in range(classes):
            total -= ((images * (k == label) + 1) / (images + classes)) * np.log(probability_C[k])
    return total / len(labels_N)


@pytest.mark.parametrize("classes", [2, 4])
def test_the_temperature_is_the_best_of_a_grid(classes: int) -> None:
    rng = np.random.default_rng(classes)
    labels = rng.integers(0, classes, 80)
    logits = 2 * rng.normal(size=(80, classes)) + 1.5 * np.eye(classes)[labels]
    grid = np.geomspace(0.2, 10, 400)
    best = grid[np.argmin([smoothed_loss(logits, labels, temperature) for temperature in grid])]
    assert fit_temperature(logits, labels) == pytest.approx(best, rel=0.011)


@pytest.mark.parametrize("factor", [0.5, 1.0, 3.0])
def test_logits_that_are_too_large_by_a_factor_get_that_temperature(factor: float) -> None:
    logits, labels = calibrated(40_000)
    assert fit_temperature(logits * factor, labels) == pytest.approx(factor, rel=0.03)


def test_log_probabilities_serve_as_logits() -> None:
    logits, labels = calibrated(500)
    log_probabilities = np.log(apply_temperature(logits, 1.0))
    assert fit_temperature(log_probabilities, labels) == pytest.approx(fit_temperature(logits, labels), rel=1e-5)


def test_faultless_validation_images_do_not_make_the_model_certain() -> None:
    # All 20 right at logit 4. Platt's target is 11/12, so the best odds are 11: temperature 4 / log 11.
    labels = np.repeat([0, 1], 10)
    logits = np.where(np.eye(2)[labels] == 1, 4.0, 0.0)
    assert fit_temperature(logits, labels) == pytest.approx(4 / np.log(11), rel=1e-4)


def test_probabilities_of_exactly_zero_are_survived() -> None:
    with np.errstate(divide="ignore"):
        logits = np.log(np.array([[1.0, 0.0], [0.3, 0.7], [0.0, 1.0]]))
    temperature = fit_temperature(logits, np.array([0, 1, 0]))
    assert temperature > 0
    assert np.isfinite(apply_temperature(logits, temperature)).all()


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 1000), st.floats(0.05, 20))
def test_temperature_keeps_the_order_and_sums_to_one(seed: int, temperature: float) -> None:
    logits = np.random.default_rng(seed).normal(size=(10, 3))
    probabilities = apply_temperature(logits, temperature)
    np.testing.assert_allclose(probabilities.sum(axis=1), 1)
    np.testing.assert_array_equal(probabilities.argmax(axis=1), logits.argmax(axis=1))
    np.testing.assert_allclose(apply_temperature(logits, 1.0), np.exp(logits) / np.exp(logits).sum(axis=1)[:, None])


def test_logits_that_are_all_far_below_zero_keep_their_order():
    """A network whose features grew without bounds: no logit of the row is above -1000."""
    logits_NC = np.array([[-3000.0, -1000.0, -2000.0], [-5e6, -4e6, -3e6]])
    found = apply_temperature(logits_NC, 50.0)
    assert found.argmax(axis=1).tolist() == [1, 2]
    np.testing.assert_allclose(apply_temperature(logits_NC[:1] / 1000, 1.0), softmax(logits_NC[:1] / 1000, axis=1))
