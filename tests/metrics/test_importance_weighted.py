"""DEV against its algorithm in numpy, and on Gaussians whose density ratio is known."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from medical_transfer.metrics.importance_weighted import deep_embedded_validation, density_ratio, dev_risk


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 2**32 - 1), st.integers(2, 40))
def test_the_risk_is_algorithm_1(seed, images):
    rng = np.random.default_rng(seed)
    losses, weights = rng.exponential(size=images), rng.lognormal(size=images)
    weighted = weights * losses
    eta = -np.cov(weighted, weights)[0, 1] / np.var(weights, ddof=1)
    assert dev_risk(losses, weights) == pytest.approx(weighted.mean() + eta * weights.mean() - eta)


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 2**32 - 1), st.integers(2, 40), st.floats(0, 9))
def test_a_loss_that_is_the_same_for_all_is_the_risk(seed, images, loss):
    """The control variate takes all of it back, whatever the weights: w c - c (mean w - 1) = c."""
    weights = np.random.default_rng(seed).lognormal(size=images)
    assert dev_risk(np.full(images, loss), weights) == pytest.approx(loss, abs=1e-9)


def test_equal_weights_give_the_plain_mean_times_the_weight():
    assert dev_risk(np.array([1.0, 2.0, 6.0]), np.ones(3)) == pytest.approx(3)
    assert dev_risk(np.array([1.0, 2.0, 6.0]), np.full(3, 2.0)) == pytest.approx(6)


def test_known_weights_estimate_the_target_with_less_noise_than_without_the_variate():
    """Source N(0, 1), target N(1/2, 1): w = exp(x/2 - 1/8) and E_target x^2 = 1.25."""
    rng = np.random.default_rng(0)
    corrected, plain = [], []
    for _ in range(400):
        x = rng.normal(size=1000)
        weights = np.exp(x / 2 - 1 / 8)
        corrected.append(dev_risk(x**2, weights))
        plain.append(float((weights * x**2).mean()))
    assert abs(np.mean(plain) - 1.25) < 4 * np.std(plain) / 20
    assert abs(np.mean(corrected) - 1.25) < 4 * np.std(corrected) / 20 + 5 / 1000  # an estimated eta costs O(1/N)
    assert np.std(corrected) < 0.9 * np.std(plain)


@pytest.mark.parametrize(("sources", "targets"), [(3000, 3000), (4000, 2000)])
def test_the_ratio_of_two_gaussians(sources, targets):
    """Equal covariance, means 0 and m: log w = m.x - |m|^2 / 2, whatever the numbers of images."""
    rng, mean = np.random.default_rng(0), np.array([0.8, -0.4, 0.0])
    source, target = rng.normal(size=(sources, 3)), rng.normal(size=(targets, 3)) + mean
    x = rng.normal(size=(500, 3))
    found = np.log(density_ratio(x, source_features_MD=source, target_features_KD=target))
    assert np.abs(found - (x @ mean - mean @ mean / 2)).mean() < 0.1


def test_dev_prefers_the_network_that_is_good_where_the_target_lies():
    rng = np.random.default_rng(0)
    source, validation, target = rng.normal(0, 1, (600, 2)), rng.normal(0, 1, (400, 2)), rng.normal(0.7, 1, (500, 2))
    known = {"source_features_MD": source, "target_features_KD": target}
    errs_left, errs_right = ((sign * validation[:, 0] > 0.5).astype(float) for sign in (-1, 1))
    assert abs(errs_left.mean() - errs_right.mean()) < 0.05, "alike on the source"
    left, right = (deep_embedded_validation(errs, validation, **known) for errs in (errs_left, errs_right))
    assert left > right + 0.2
    assert left == pytest.approx(-dev_risk(errs_left, density_ratio(validation, **known)))


def test_domains_that_do_not_overlap_give_a_finite_score():
    rng = np.random.default_rng(0)
    near, far = rng.normal(size=(30, 4)), rng.normal(size=(30, 4)) * 1e-3 + 1e4
    weights = density_ratio(np.concatenate([near, 1e6 * near]), source_features_MD=near, target_features_KD=far)
    assert np.isfinite(weights).all()
    assert np.isfinite(dev_risk(np.ones(60), weights))
