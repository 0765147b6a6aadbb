"""Agreement of scores with outcomes against scipy, closed forms and cases by hand."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from scipy import stats

from medical_transfer.transferability.agreement import (
    LEAST_SOURCES,
    mean_over_targets,
    null_band,
    null_band_of_mean,
    one_tau,
    pearson,
    per_target,
    static_order,
    top1_regret,
    weighted_tau,
)

NAN = math.nan
VALUES = st.integers(-4, 4).map(float)  # few values, so that ties are common


def columns(n: int = 7):
    return arrays(np.float64, n, elements=VALUES)


@given(columns(), columns())
@settings(max_examples=150, deadline=None)
def test_weighted_tau_is_scipys_ties_included(scores_M, outcomes_M):
    expected = NAN if np.ptp(scores_M) == 0 or np.ptp(outcomes_M) == 0 else stats.weightedtau(scores_M, outcomes_M)[0]
    assert one_tau(scores_M, outcomes_M) == pytest.approx(expected, abs=1e-12, nan_ok=True)


def test_weighted_tau_by_hand():
    """Three sources, the lower two exchanged: pairs weigh 1 + 1/2, 1 + 1/3, 1/2 + 1/3; the last one is discordant."""
    tau = (3 / 2 + 4 / 3 - 5 / 6) / (3 / 2 + 4 / 3 + 5 / 6)
    assert one_tau(np.array([3.0, 2.0, 1.0]), np.array([3.0, 1.0, 2.0])) == pytest.approx(tau)
    top = (5 / 6 + 4 / 3 - 3 / 2) / (3 / 2 + 4 / 3 + 5 / 6)  # the upper two: that costs more
    assert one_tau(np.array([3.0, 2.0, 1.0]), np.array([2.0, 3.0, 1.0])) == pytest.approx(top)


@given(arrays(np.float64, (5, 6), elements=st.floats(-9, 9)), arrays(np.float64, 6, elements=st.floats(-9, 9)))
@settings(max_examples=60, deadline=None)
def test_rows_are_taken_one_by_one_and_names_do_not_matter(scores_XM, outcomes_M):
    rows = [one_tau(row, outcomes_M) for row in scores_XM]
    assert weighted_tau(scores_XM, outcomes_M) == pytest.approx(rows, nan_ok=True)
    order = [3, 0, 5, 1, 4, 2]
    assert one_tau(scores_XM[0][order], outcomes_M[order]) == pytest.approx(rows[0], nan_ok=True)


@given(arrays(np.float64, 6, elements=st.integers(-50, 50).map(float), unique=True))
@settings(max_examples=60, deadline=None)
def test_only_the_order_counts_and_a_perfect_one_is_1(outcomes_M):
    assert one_tau(np.exp(outcomes_M / 20), outcomes_M) == pytest.approx(1)
    assert one_tau(-outcomes_M, outcomes_M) == pytest.approx(-1)
    assert top1_regret(outcomes_M * 3, outcomes_M) == 0
    assert top1_regret(-outcomes_M, outcomes_M) == np.ptp(outcomes_M)


@given(columns(), columns())
@settings(max_examples=60, deadline=None)
def test_pearson_is_scipys(scores_M, outcomes_M):
    assume(np.ptp(scores_M) > 0 and np.ptp(outcomes_M) > 0)
    assert pearson(scores_M, outcomes_M) == pytest.approx(stats.pearsonr(scores_M, outcomes_M)[0])


def test_what_does_not_differ_has_no_agreement():
    flat, rising = np.ones(5), np.arange(5.0)
    assert math.isnan(one_tau(flat, rising))
    assert math.isnan(pearson(rising, flat))
    assert top1_regret(flat, rising) == 2  # a blind pick among all: 4 minus the mean of 0..4


def test_regret_by_hand():
    assert top1_regret(np.array([0.1, 0.9, 0.3]), np.array([0.80, 0.85, 0.95])) == pytest.approx(0.10)
    assert top1_regret(np.array([0.9, 0.9, 0.3]), np.array([0.80, 0.90, 0.95])) == pytest.approx(0.10)


@pytest.mark.parametrize(("models", "expected"), [(10, 0.57), (15, 0.46)])
def test_the_null_band_is_the_published_one(models, expected):
    """METHODS: 95 % of |tau_w| under random order is about .57 with 10 models and .46 with 15."""
    assert null_band(models, draws=20_000) == pytest.approx(expected, abs=0.015)


def test_the_null_band_of_a_few_models_is_that_of_all_orders():
    """Of three models all six orders can be listed; |tau_w| is 1 in two of them, so its 95 % quantile is 1."""
    assert null_band(3) == pytest.approx(1)
    assert math.isnan(null_band(1))


def test_the_band_of_the_mean_knows_that_targets_resemble_one_another():
    same_TSM = np.tile(np.arange(10.0), (6, 1, 1))
    assert null_band_of_mean(same_TSM, draws=4000) == pytest.approx(null_band(10, draws=4000), abs=0.03)
    rng = np.random.default_rng(3)
    apart_TSM = np.stack([rng.permutation(10) for _ in range(40)])[:, None, :].astype(float)
    assert null_band_of_mean(apart_TSM, draws=2000) < 0.25
    assert math.isnan(null_band_of_mean(np.full((3, 2, 5), NAN)))


def test_a_score_against_itself_is_below_the_band_in_95_of_100_random_orders():
    rng = np.random.default_rng(0)
    band = null_band(8, draws=5000)
    taus = weighted_tau(rng.permuted(np.tile(np.arange(8.0), (5000, 1)), axis=1), np.arange(8.0))
    assert np.mean(np.abs(taus) <= band) == pytest.approx(0.95, abs=0.01)


def test_targets_leave_out_what_lacks_a_value():
    outcomes = np.tile(np.arange(6.0), (3, 2, 1))
    scores = outcomes.copy()
    scores[0, 0] = -scores[0, 0]  # one of two seeds: mean of -1 and 1
    scores[1, :, 4:] = NAN  # four are left, which is just enough
    scores[2, :, 3:] = NAN  # three are not
    found = per_target(one_tau, scores, outcomes)
    assert LEAST_SOURCES == 4
    assert found == pytest.approx([0, 1, NAN], abs=1e-12, nan_ok=True)


def test_intervals_draw_targets():
    values = np.array([0.1, 0.4, 0.4, 0.9])
    found = mean_over_targets(values)
    assert found.estimate == pytest.approx(0.45)
    # All 256 resamples of four targets, the interval in closed form.
    means = np.sort(np.stack(np.meshgrid(*[values] * 4), axis=-1).reshape(-1, 4).mean(axis=1))
    assert (found.low, found.high) == pytest.approx(tuple(np.quantile(means, [0.025, 0.975])), abs=0.03)
    assert mean_over_targets(np.append(values, NAN)) == found
    one = mean_over_targets(np.array([0.3, NAN]))
    assert (one.estimate, math.isnan(one.low), math.isnan(one.high)) == (0.3, True, True)
    assert math.isnan(mean_over_targets(np.array([NAN])).estimate)


def test_a_wider_coverage_gives_a_wider_interval():
    values = np.random.default_rng(1).normal(size=9)
    usual, wide = mean_over_targets(values), mean_over_targets(values, coverage=0.995)
    assert wide.low < usual.low < usual.high < wide.high


def test_the_static_order_never_looks_at_its_own_target():
    """Three targets, one seed, by hand: centred outcomes are (-.1, .1), (-.2, .2), (.3, -.3)."""
    outcomes = np.array([[[0.7, 0.9]], [[0.3, 0.7]], [[0.9, 0.3]]])
    found = static_order(outcomes)
    assert found[:, 0] == pytest.approx(np.array([[0.05, -0.05], [0.1, -0.1], [-0.15, 0.15]]))
    changed = outcomes.copy()
    changed[1] = 99.0
    assert static_order(changed)[1] == pytest.approx(found[1])
    assert np.isnan(static_order(outcomes[:1])).all()
    outcomes[0, 0, 0] = NAN
    assert static_order(outcomes)[1, 0, 0] == pytest.approx(0.3)  # the third target alone
