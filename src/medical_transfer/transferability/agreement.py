"""How far a score agrees with what was measured: weighted Kendall tau, Pearson, regret of the top one, over targets.

A target gives one number of each kind: the mean over its seeds, in each of which scores of training images stand
against outcomes of the test images of the same split. Intervals draw whole targets: that is what the next user brings.

Shapes: T targets, S seeds, M sources (models), B draws. NaN marks a pair of source and target without a value; such
sources are left out where they lack one of the two.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from medical_transfer.types import Interval

Floats = NDArray[np.float64]
Statistic = Callable[[Floats, Floats], float]
"""(scores_M, outcomes_M), all finite -> one number."""

LEAST_SOURCES = 4
"""With fewer sources there is no order to speak of: two of them agree by chance every other time."""
DRAWS = 2000
COVERAGE = 0.95


def weighted_tau(scores_XM: Floats, outcomes_XM: Floats) -> Floats:
    """Kendall's tau with pairs weighted by rank, so that the order at the top counts most (Vigna 2015).

    As `scipy.stats.weightedtau` with its defaults: a pair weighs 1/(r+1) + 1/(s+1) for ranks r, s from 0 at the top;
    the mean of two taus, one with ranks by score (ties by outcome) and one with ranks by outcome (ties by score).
    Written out because thousands of random orders are needed at once.

    Args:
        scores_XM: any number of leading axes.
        outcomes_XM: likewise; the two are broadcast against each other.

    Returns:
        (X,) between -1 and 1; NaN where all scores or all outcomes of a row are equal.
    """
    scores_XM, outcomes_XM = np.broadcast_arrays(scores_XM, outcomes_XM)
    score_signs, outcome_signs = _signs(scores_XM), _signs(outcomes_XM)
    taus = []
    for first_XM, second_XM in ((scores_XM, outcomes_XM), (outcomes_XM, scores_XM)):
        best_first_XM = np.lexsort((second_XM, first_XM), axis=-1)[..., ::-1]
        weights_XM = 1.0 / (np.argsort(best_first_XM, axis=-1) + 1.0)
        pair_XMM = weights_XM[..., :, None] + weights_XM[..., None, :]
        concordance_X = (pair_XMM * score_signs * outcome_signs).sum(axis=(-2, -1))
        untied_X = (pair_XMM * score_signs**2).sum(axis=(-2, -1)) * (pair_XMM * outcome_signs**2).sum(axis=(-2, -1))
        root_X = np.sqrt(untied_X)
        taus.append(np.divide(concordance_X, root_X, out=np.full_like(root_X, math.nan), where=root_X > 0))
    tau_X: Floats = np.clip((taus[0] + taus[1]) / 2, -1.0, 1.0)
    return tau_X


def one_tau(scores_M: Floats, outcomes_M: Floats) -> float:
    """`weighted_tau` of one row."""
    return float(weighted_tau(scores_M, outcomes_M))


def pearson(scores_M: Floats, outcomes_M: Floats) -> float:
    """Pearson's correlation; NaN where all scores or all outcomes are equal."""
    if np.ptp(scores_M) == 0 or np.ptp(outcomes_M) == 0:
        return math.nan
    return float(np.corrcoef(scores_M, outcomes_M)[0, 1])


def top1_regret(scores_M: Floats, outcomes_M: Floats) -> float:
    """Best outcome minus that of the source with the highest score; of several such their mean, as a blind pick has."""
    return float(outcomes_M.max() - outcomes_M[scores_M == scores_M.max()].mean())


def per_target(statistic: Statistic, scores_TSM: Floats, outcomes_TSM: Floats) -> Floats:
    """A statistic of every target, mean over its seeds; NaN where no seed has `LEAST_SOURCES` sources with both.

    Returns:
        (T,).
    """
    found_TS = np.full(outcomes_TSM.shape[:2], math.nan)
    for place in np.ndindex(*found_TS.shape):
        both_M = np.isfinite(scores_TSM[place]) & np.isfinite(outcomes_TSM[place])
        if both_M.sum() >= LEAST_SOURCES:
            found_TS[place] = statistic(scores_TSM[place][both_M], outcomes_TSM[place][both_M])
    return row_means(found_TS)


def mean_over_targets(values_T: Floats, *, seed: int = 0, coverage: float = COVERAGE) -> Interval:
    """Mean over the targets that have a value, with a percentile bootstrap interval that draws targets.

    NaN ends for fewer than two targets; with few of them such an interval is too narrow rather than too wide.
    """
    known = values_T[np.isfinite(values_T)]
    if known.size == 0:
        return Interval(math.nan)
    if known.size == 1:
        return Interval(float(known[0]))
    drawn_BT = np.random.default_rng(seed).integers(known.size, size=(DRAWS, known.size))
    low, high = np.quantile(known[drawn_BT].mean(axis=1), [(1 - coverage) / 2, (1 + coverage) / 2])
    return Interval(float(known.mean()), float(low), float(high))


def null_band(models: int, *, draws: int = DRAWS, seed: int = 0) -> float:
    """95 % of |tau_w| of one target lie below this where the order of its sources is random; NaN below two sources."""
    if models < 2:
        return math.nan
    order_M = np.arange(models, dtype=float)
    return float(np.quantile(np.abs(weighted_tau(_random_orders(models, draws, seed), order_M)), COVERAGE))


def null_band_of_mean(outcomes_TSM: Floats, *, draws: int = DRAWS, seed: int = 0) -> float:
    """95 % of |mean tau_w over targets| lie below this for an order of sources that is random and the same everywhere.

    The sources' names are shuffled once per draw, for all targets alike: outcomes of targets resemble one another, so
    the chance to be right in one is the chance to be right in all. Orders drawn for each target by itself would give a
    band that is too narrow for scores that rank sources alike everywhere, as their size does.
    """
    targets, seeds, models = outcomes_TSM.shape
    orders_BM = _random_orders(models, draws, seed)
    taus_TSB = np.full((targets, seeds, draws), math.nan)
    for place in np.ndindex(targets, seeds):
        known_M = np.isfinite(outcomes_TSM[place])
        if known_M.sum() >= LEAST_SOURCES:
            taus_TSB[place] = weighted_tau(orders_BM[:, known_M], outcomes_TSM[place][known_M])
    means_TB = np.stack([row_means(taus_SB.T) for taus_SB in taus_TSB])
    means_B = row_means(means_TB.T)
    known_B = means_B[np.isfinite(means_B)]
    return float(np.quantile(np.abs(known_B), COVERAGE)) if known_B.size else math.nan


def static_order(outcomes_TSM: Floats) -> Floats:
    """For each target the mean outcome of every source on the *other* targets: the baseline 'the same order as ever'.

    Outcomes are centred within their target first, so that a source which lacks an easy target is no worse for it.

    Returns:
        Scores like `outcomes_TSM`, the same in all seeds; NaN where a source has no other target.
    """
    of_target_TM = np.stack([row_means(outcomes_SM.T) for outcomes_SM in outcomes_TSM])
    centred_TM = of_target_TM - row_means(of_target_TM)[:, None]
    others_TM = np.stack([row_means(np.delete(centred_TM, row, axis=0).T) for row in range(len(centred_TM))])
    return np.broadcast_to(others_TM[:, None, :], outcomes_TSM.shape)


def row_means(values_RC: Floats) -> Floats:
    """Mean of what is known of each row; NaN where nothing is."""
    known_RC = np.isfinite(values_RC)
    count_R = known_RC.sum(axis=1)
    sum_R = np.where(known_RC, values_RC, 0.0).sum(axis=1)
    mean_R: Floats = np.divide(sum_R, count_R, out=np.full(len(values_RC), math.nan), where=count_R > 0)
    return mean_R


def _signs(values_XM: Floats) -> Floats:
    signs_XMM: Floats = np.sign(values_XM[..., :, None] - values_XM[..., None, :])
    return signs_XMM


def _random_orders(models: int, draws: int, seed: int) -> Floats:
    return np.random.default_rng(seed).permuted(np.tile(np.arange(models, dtype=float), (draws, 1)), axis=1)
