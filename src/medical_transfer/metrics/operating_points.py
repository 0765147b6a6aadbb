"""What the ROC curve offers: the sensitivity that can be had at a fixed specificity, and the reverse.

The cut is read from the same images (in a resample: from the resample), so these describe the curve, not a decision
rule: a cut that was frozen on validation images will miss the fixed rate by chance. Cuts lie between distinct scores;
nothing is interpolated, so the fixed rate is reached or exceeded.

Shapes: B resamples, N images, P positive and Q negative ones, K distinct scores of one class.
"""

from __future__ import annotations

import numpy as np

from medical_transfer.metrics.classification import Codes, Floats, cumulated_from_top, ratio

ROUNDING = 1e-9
"""A count may miss its target by so much: .95 of 20 images are 19."""


def sensitivity_at(labels_N: Codes, probabilities_NC: Floats, weights_BN: Floats, *, specificity: float) -> Floats:
    """Highest sensitivity among the cuts whose specificity is at least as fixed; class 1 of two is the positive one."""
    keys_P, hits_BP = cumulated_from_top(probabilities_NC[:, 1], np.flatnonzero(labels_N == 1), weights_BN)
    keys_Q, alarms_BQ = cumulated_from_top(probabilities_NC[:, 1], np.flatnonzero(labels_N != 1), weights_BN)
    negatives_B1 = alarms_BQ[:, -1:]
    # A cut below the k-th distinct negative score calls all images of that score: the first k that is too many ends it.
    key_K = np.unique(keys_Q)
    alarms_BK = np.take(alarms_BQ, np.searchsorted(keys_Q, key_K, side="right"), axis=1)
    allowed_B = (alarms_BK <= (1 - specificity) * negatives_B1 + ROUNDING).sum(axis=1)
    above_K = np.append(np.searchsorted(keys_P, key_K, side="left"), keys_P.size)
    found_B = np.take_along_axis(hits_BP, above_K[allowed_B, None], axis=1)[:, 0]
    return _where_both(ratio(found_B, hits_BP[:, -1]), negatives_B1[:, 0])


def specificity_at(labels_N: Codes, probabilities_NC: Floats, weights_BN: Floats, *, sensitivity: float) -> Floats:
    """Highest specificity among the cuts whose sensitivity is at least as fixed."""
    keys_P, hits_BP = cumulated_from_top(probabilities_NC[:, 1], np.flatnonzero(labels_N == 1), weights_BN)
    keys_Q, alarms_BQ = cumulated_from_top(probabilities_NC[:, 1], np.flatnonzero(labels_N != 1), weights_BN)
    positives_B1 = hits_BP[:, -1:]
    # From the cut that calls none downwards, each just below a distinct positive score.
    key_K = np.concatenate([[-np.inf], np.unique(keys_P)])
    hits_BK = np.take(hits_BP, np.searchsorted(keys_P, key_K, side="right"), axis=1)
    lacking_B = (hits_BK < sensitivity * positives_B1 - ROUNDING).sum(axis=1)
    called_K = np.searchsorted(keys_Q, key_K, side="right")
    alarms_B = np.take_along_axis(alarms_BQ, called_K[lacking_B, None], axis=1)[:, 0]
    return _where_both(1 - ratio(alarms_B, alarms_BQ[:, -1]), positives_B1[:, 0])


def _where_both(rate_B: Floats, others_B: Floats) -> Floats:
    """NaN where the class that fixes the cut has no weight."""
    return np.where(others_B > 0, rate_B, np.nan)
