"""What the ROC curve offers: the sensitivity that can be had at a fixed specificity, and the reverse.

The cut is read from the same images (in a resample: from the resample), so these describe the curve, not a decision
rule: a cut that was frozen on validation images will miss the fixed rate by chance. Cuts lie between distinct scores;
nothing is interpolated, so the fixed rate is reached or exceeded.

Shapes: B resamples, N images, T cuts.
"""

from __future__ import annotations

import numpy as np

from medical_transfer.metrics.classification import Codes, Floats, ratio

ROUNDING = 1e-9
"""A count may miss its target by so much: .95 of 20 images are 19."""


def sensitivity_at(labels_N: Codes, probabilities_NC: Floats, weights_BN: Floats, *, specificity: float) -> Floats:
    """Highest sensitivity among the cuts whose specificity is at least as fixed; class 1 of two is the positive one."""
    called_true_BT, called_false_BT = _called(labels_N, probabilities_NC, weights_BN)
    negatives_B1 = called_false_BT[:, -1:]
    allowed_BT = called_false_BT <= (1 - specificity) * negatives_B1 + ROUNDING
    last_B1 = allowed_BT.sum(axis=1, keepdims=True) - 1  # counts only grow, and calling none is always allowed
    found_B = np.take_along_axis(called_true_BT, last_B1, axis=1)[:, 0]
    return _where_both(ratio(found_B, called_true_BT[:, -1]), negatives_B1[:, 0])


def specificity_at(labels_N: Codes, probabilities_NC: Floats, weights_BN: Floats, *, sensitivity: float) -> Floats:
    """Highest specificity among the cuts whose sensitivity is at least as fixed."""
    called_true_BT, called_false_BT = _called(labels_N, probabilities_NC, weights_BN)
    positives_B1 = called_true_BT[:, -1:]
    first_B1 = (called_true_BT < sensitivity * positives_B1 - ROUNDING).sum(axis=1, keepdims=True)
    alarms_B = np.take_along_axis(called_false_BT, first_B1, axis=1)[:, 0]
    return _where_both(1 - ratio(alarms_B, called_false_BT[:, -1]), positives_B1[:, 0])


def _called(labels_N: Codes, probabilities_NC: Floats, weights_BN: Floats) -> tuple[Floats, Floats]:
    """Positives and negatives that each cut calls positive, from the cut that calls none to the one that calls all."""
    scores_N = probabilities_NC[:, 1]
    order_N = np.argsort(-scores_N, kind="stable")
    ends_T = np.concatenate([[0], np.flatnonzero(np.diff(scores_N[order_N])) + 1, [scores_N.size]])
    sums = []
    for code in (1, 0):
        sum_BN = np.zeros((weights_BN.shape[0], scores_N.size + 1))
        np.cumsum(weights_BN[:, order_N] * (labels_N[order_N] == code), axis=1, out=sum_BN[:, 1:])
        sums.append(np.take(sum_BN, ends_T, axis=1))
    return sums[0], sums[1]


def _where_both(rate_B: Floats, others_B: Floats) -> Floats:
    """NaN where the class that fixes the cut has no weight."""
    return np.where(others_B > 0, rate_B, np.nan)
