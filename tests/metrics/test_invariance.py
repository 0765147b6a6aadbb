"""The proxy A-distance on Gaussians, whose Bayes error is known."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import norm

from medical_transfer.metrics.invariance import proxy_a_distance


def distance(source, target, seed: int = 0, **options) -> float:
    return proxy_a_distance(source, target, np.random.default_rng(seed), **options)


@pytest.mark.parametrize("kind", ["linear", "rbf"])
def test_domains_apart_are_2_and_alike_are_0(kind):
    rng = np.random.default_rng(0)
    source, far = rng.normal(0, 1, (60, 3)), rng.normal(20, 1, (40, 3))
    assert distance(source, far, kind=kind) == 2
    alike = [distance(rng.normal(size=(40, 3)), rng.normal(size=(30, 3)), kind=kind) for _ in range(60)]
    assert abs(np.mean(alike)) < 4 * np.std(alike) / np.sqrt(60)


@pytest.mark.parametrize(("sources", "targets"), [(600, 600), (900, 300)])
def test_two_gaussians_give_the_bayes_error(sources, targets):
    """Means a distance d apart: error = Phi(-d / 2), for either domain, however many images it has."""
    rng, gap = np.random.default_rng(0), 1.5
    source, target = rng.normal(size=(sources, 2)), rng.normal((gap, 0), size=(targets, 2))
    bayes = norm.cdf(-gap / 2)
    # each image is judged once; the distance falls by 4 of a mean of two rates
    standard_error = 4 / 2 * np.sqrt(bayes * (1 - bayes) * (1 / sources + 1 / targets))
    assert distance(source, target) == pytest.approx(2 * (1 - 2 * bayes), abs=4 * standard_error)


def test_an_rbf_machine_sees_spreads_that_a_linear_one_can_hardly_use():
    """Spreads 1 and 4 around one mean: the best straight cut at t gives 2 (Phi(t) - Phi(t/4)) = .59 at most."""
    rng = np.random.default_rng(0)
    source, wider = rng.normal(0, 1, (200, 4)), rng.normal(0, 4, (200, 4))
    assert distance(source, wider, kind="rbf") > 1.5
    cuts = np.linspace(0, 5, 501)
    best = 2 * (norm.cdf(cuts) - norm.cdf(cuts / 4)).max()
    assert distance(source, wider, kind="linear") < best + 4 * 2 * np.sqrt(0.25 * 2 / 200)
    assert best < 0.6


def test_patients_are_not_taken_for_domains():
    """Eight images of each of 40 patients a domain, all patients from one distribution."""
    rng = np.random.default_rng(0)
    source, target = (np.repeat(rng.normal(size=(40, 6)), 8, axis=0) + rng.normal(0, 0.01, (320, 6)) for _ in range(2))
    groups = np.repeat(np.arange(40), 8)
    assert distance(source, target, kind="rbf") > 1, "a split by image recognises patients"
    whole = [
        distance(source, target, seed, kind="rbf", source_groups_N=groups, target_groups_M=groups + 7)
        for seed in range(10)
    ]
    assert abs(np.mean(whole)) < 0.4


def test_the_generator_draws_the_halves():
    rng = np.random.default_rng(0)
    source, target = rng.normal(size=(30, 2)), rng.normal(size=(30, 2)) + 0.5
    assert distance(source, target, 1) == distance(source, target, 1)
    assert len({distance(source, target, seed) for seed in range(8)}) > 1


def test_a_domain_of_one_group_is_refused():
    rows = np.zeros((3, 2))
    with pytest.raises(ValueError, match="cannot be cut"):
        distance(rows, rows, source_groups_N=np.zeros(3, dtype=int))
    with pytest.raises(ValueError, match="cannot be cut"):
        distance(rows, rows[:1])
