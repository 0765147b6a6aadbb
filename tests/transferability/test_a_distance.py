"""The proxy A-distance: its ends, its halves, and one fit for all permutations against a fit for each."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from sklearn.linear_model import Ridge
from sklearn.metrics import balanced_accuracy_score
from test_distances import make

from medical_transfer.transferability.distances.a_distance import _balanced_error, _decide, _halves, a_distance
from medical_transfer.transferability.linear_probe import standardised


@pytest.mark.parametrize("width", [3, 200])
def test_separable_domains_are_two_apart(width):
    found = a_distance(make(width=width, gap=20.0), 19)
    assert found.value == 2
    assert found.p_value == 0.05


def test_the_error_is_the_mean_over_domains_and_may_be_all_wrong():
    assert _balanced_error(np.array([[True], [False]]), np.array([[False], [True]])) == pytest.approx(1)
    source_PA = np.array([[True]] * 8 + [[False]] * 2)  # all called source: .2 wrong, but all of the target
    assert _balanced_error(np.ones((10, 1), dtype=bool), source_PA) == pytest.approx(0.5)


@pytest.mark.parametrize(("source", "target"), [(60, 60), (150, 30)])
def test_equal_domains_are_about_zero_apart_whatever_their_sizes(source, target):
    values = [a_distance(make(source=source, target=target, seed=seed), 1).value for seed in range(40)]
    assert abs(np.mean(values)) < 4 * np.std(values) / np.sqrt(40)
    assert np.mean(values) < 0.15


def test_a_few_target_images_are_told_apart_too():
    assert a_distance(make(source=300, target=20, gap=1.5), 99).value > 1.5


def test_patients_are_in_one_half_and_halves_hold_half_of_either_domain():
    is_source_G = np.array([True] * 11 + [False] * 6)
    half_G = _halves(is_source_G, np.random.default_rng(0))
    assert [int(half_G[mine].sum()) for mine in (is_source_G, ~is_source_G)] == [5, 3]


def test_a_classifier_that_knows_patients_by_heart_finds_nothing():
    """Ten patients a side with twelve images that are all but equal; the domains do not differ."""
    values = [
        a_distance(make(source=120, target=120, width=40, per_group=12, spread=30.0, seed=seed), 1).value
        for seed in range(20)
    ]
    assert abs(np.mean(values)) < 4 * np.std(values) / np.sqrt(20)
    alone = [
        a_distance(
            replace(
                make(source=120, target=120, width=40, per_group=12, spread=30.0, seed=seed),
                source_groups_N=None,
                target_groups_M=None,
            ),
            1,
        ).value
        for seed in range(3)
    ]
    assert np.mean(alone) > 1.9  # what a split of images would say


def test_one_fit_for_all_labels_equals_a_fit_for_each():
    rng = np.random.default_rng(2)
    train_ND, test_MD = rng.normal(size=(30, 12)), rng.normal(size=(25, 12))
    source_NA = rng.random((30, 6)) < 0.4
    called_MA = _decide(train_ND, source_NA, test_MD)
    assert np.array_equal(_decide(train_ND, ~source_NA, test_MD), ~called_MA)  # whichever is called the source
    learned_ND, judged_MD = standardised(train_ND, test_MD)
    for source_N, called_M in zip(source_NA.T, called_MA.T, strict=True):
        model = Ridge(alpha=12, solver="svd").fit(learned_ND, np.where(source_N, 1.0, -1.0))
        fitted_N = model.predict(learned_ND)
        middle = (fitted_N[source_N].mean() + fitted_N[~source_N].mean()) / 2
        assert np.array_equal(called_M, model.predict(judged_MD) > middle)


def test_value_is_that_of_balanced_accuracies_over_both_halves():
    domains = make(source=41, target=23, gap=0.4)
    pooled_PD = domains.centred()
    half_P = _halves(domains.is_source, np.random.default_rng(domains.seed))[domains.groups]
    source_P = np.arange(64) < 41
    called_P = np.zeros(64, dtype=bool)
    for half in (0, 1):
        train_P = half_P != half
        called_P[~train_P] = _decide(pooled_PD[train_P], source_P[train_P, None], pooled_PD[~train_P])[:, 0]
    expected = 2 * (2 * balanced_accuracy_score(source_P, called_P) - 1)
    assert a_distance(domains, 3).value == pytest.approx(expected)
