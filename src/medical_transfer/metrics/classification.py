"""How good probabilities and decisions are, for all bootstrap resamples at once.

Every metric is one function `metric(labels_N, scores_NC, weights_BN) -> values_B`. Row b of the weights says how often
each image counts in resample b; one row of ones gives the point estimate. Scores are probabilities for the first
family (`auroc` to `log_loss`) and one-hot decisions for the second (`accuracy` to `specificity`): a decision is a
distribution with all its mass on one class. With two classes, column 1 is the positive one.

Where a class that the metric needs has no weight, the value is NaN. Images are sorted once per call, not per resample.

Shapes: B resamples, N images, C classes, P positive and Q negative images. Labels are class codes 0..C-1.
"""

from __future__ import annotations

from typing import Protocol

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]
Codes = npt.NDArray[np.intp]


class Metric(Protocol):
    """What every metric looks like."""

    def __call__(self, labels_N: Codes, scores_NC: Floats, weights_BN: Floats, /) -> Floats:
        """Return values_B."""
        ...


def one_hot(codes_N: Codes, classes: int) -> Floats:
    """Write class codes as rows with a single 1 (N, C)."""
    return np.eye(classes)[codes_N]


def ratio(above: Floats, below: Floats) -> Floats:
    """Divide; NaN where there is nothing to divide by."""
    return np.asarray(np.divide(above, below, out=np.full(np.shape(above), np.nan), where=below > 0))


def class_auroc(labels_N: Codes, probabilities_NC: Floats, weights_BN: Floats, *, of: int = 1) -> Floats:
    """Area under the ROC curve of class `of` against the rest: P(positive scores higher) + P(tie) / 2.

    Source: Mann and Whitney (1947); equals scikit-learn's `roc_auc_score` with `sample_weight`, ties included.
    """
    scores_N = probabilities_NC[:, of]
    positives_P, negatives_Q = np.flatnonzero(labels_N == of), np.flatnonzero(labels_N != of)
    keys_P, cumulated_BP = cumulated_from_top(scores_N, positives_P, weights_BN)
    keys_Q = -scores_N[negatives_Q]
    above_Q, at_least_Q = (np.searchsorted(keys_P, keys_Q, side=side) for side in ("left", "right"))
    won_BQ = np.take(cumulated_BP, above_Q, axis=1) + np.take(cumulated_BP, at_least_Q, axis=1)
    weights_BQ = np.take(weights_BN, negatives_Q, axis=1)
    pairs_B = cumulated_BP[:, -1] * weights_BQ.sum(axis=1)
    return ratio(np.einsum("bq,bq->b", weights_BQ, won_BQ), 2 * pairs_B)


def class_auprc(labels_N: Codes, probabilities_NC: Floats, weights_BN: Floats, *, of: int = 1) -> Floats:
    """Average precision of class `of` against the rest: the mean over positives of the precision at their score.

    No interpolation, ties share one threshold; equals scikit-learn's `average_precision_score` with `sample_weight`.
    Departure: NaN, not 1, where there is no negative. A coin reaches the prevalence, so publish it beside.
    """
    scores_N = probabilities_NC[:, of]
    positives_P, negatives_Q = np.flatnonzero(labels_N == of), np.flatnonzero(labels_N != of)
    keys_P, true_BP = cumulated_from_top(scores_N, positives_P, weights_BN)
    keys_Q, false_BQ = cumulated_from_top(scores_N, negatives_Q, weights_BN)
    called_true_BP = np.take(true_BP, np.searchsorted(keys_P, keys_P, side="right"), axis=1)
    called_false_BP = np.take(false_BQ, np.searchsorted(keys_Q, keys_P, side="right"), axis=1)
    gained_BP = np.diff(true_BP, axis=1)
    # The floor only meets 0/0: a positive that counts is among those called.
    precision_BP = called_true_BP / np.maximum(called_true_BP + called_false_BP, np.finfo(float).tiny)
    value_B = ratio(np.einsum("bp,bp->b", gained_BP, precision_BP), true_BP[:, -1])
    return np.where(false_BQ[:, -1] > 0, value_B, np.nan)


def auroc(labels_N: Codes, probabilities_NC: Floats, weights_BN: Floats) -> Floats:
    """AUROC of class 1 where there are two, else the plain mean over classes, each against the rest."""
    return _macro(class_auroc, labels_N, probabilities_NC, weights_BN)


def auprc(labels_N: Codes, probabilities_NC: Floats, weights_BN: Floats) -> Floats:
    """Average precision of class 1 where there are two, else the plain mean over classes, each against the rest."""
    return _macro(class_auprc, labels_N, probabilities_NC, weights_BN)


def brier(labels_N: Codes, probabilities_NC: Floats, weights_BN: Floats) -> Floats:
    """Mean squared error of the probabilities, 0 is best.

    Two classes: of the positive class alone, at most 1. More: summed over classes, at most 2 (Brier 1950, eq. 2).
    Both as scikit-learn's `brier_score_loss` by default.
    """
    error_NC = (probabilities_NC - one_hot(labels_N, probabilities_NC.shape[1])) ** 2
    return _mean(error_NC[:, 1] if probabilities_NC.shape[1] == 2 else error_NC.sum(axis=1), weights_BN)


def log_loss(labels_N: Codes, probabilities_NC: Floats, weights_BN: Floats) -> Floats:
    """Mean of -log(probability of the true class), in nats; probabilities are floored at 2.2e-16 (one wrong 0: 36)."""
    true_N = probabilities_NC[np.arange(labels_N.size), labels_N]
    return _mean(-np.log(np.clip(true_N, np.finfo(float).eps, 1)), weights_BN)


def accuracy(labels_N: Codes, decided_NC: Floats, weights_BN: Floats) -> Floats:
    """Share of images that are decided rightly."""
    return _mean(decided_NC[np.arange(labels_N.size), labels_N], weights_BN)


def balanced_accuracy(labels_N: Codes, decided_NC: Floats, weights_BN: Floats) -> Floats:
    """Plain mean of the classes' recalls; NaN (not the mean over the others) where a class is missing."""
    truth_NC = one_hot(labels_N, decided_NC.shape[1])
    recall_BC = ratio(weights_BN @ (truth_NC * decided_NC), weights_BN @ truth_NC)
    return np.asarray(recall_BC.mean(axis=1))


def mcc(labels_N: Codes, decided_NC: Floats, weights_BN: Floats) -> Floats:
    """Matthews correlation of truth and decision for any number of classes.

    Source: Gorodkin (2004), eq. 8, as scikit-learn's `matthews_corrcoef`: 0 where all decisions are the same.
    Departure: NaN, not 0, where all labels are the same.
    """
    truth_NC = one_hot(labels_N, decided_NC.shape[1])
    true_BC, decided_BC = weights_BN @ truth_NC, weights_BN @ decided_NC
    right_B = (weights_BN @ (truth_NC * decided_NC)).sum(axis=1)
    covariance_B = right_B * true_BC.sum(axis=1) - (true_BC * decided_BC).sum(axis=1)
    true_B, decided_B = _spread(true_BC), _spread(decided_BC)
    correlation_B = covariance_B / np.sqrt(np.where(true_B * decided_B > 0, true_B * decided_B, np.inf))
    return np.where(true_B > 0, correlation_B, np.nan)


def class_recall(labels_N: Codes, decided_NC: Floats, weights_BN: Floats, *, of: int) -> Floats:
    """Share of the images of class `of` that are decided so."""
    true_N = (labels_N == of).astype(float)
    return ratio(weights_BN @ (true_N * decided_NC[:, of]), weights_BN @ true_N)


def class_precision(labels_N: Codes, decided_NC: Floats, weights_BN: Floats, *, of: int) -> Floats:
    """Share of the decisions for class `of` that are right; NaN where there is none."""
    called_N = decided_NC[:, of]
    return ratio(weights_BN @ ((labels_N == of) * called_N), weights_BN @ called_N)


def sensitivity(labels_N: Codes, decided_NC: Floats, weights_BN: Floats) -> Floats:
    """Share of the positive images (class 1 of two) that are decided positive."""
    return class_recall(labels_N, decided_NC, weights_BN, of=1)


def specificity(labels_N: Codes, decided_NC: Floats, weights_BN: Floats) -> Floats:
    """Share of the negative images (class 0 of two) that are decided negative."""
    return class_recall(labels_N, decided_NC, weights_BN, of=0)


def confusion_matrix(labels_N: Codes, decided_N: Codes, classes: int) -> npt.NDArray[np.int64]:
    """Count images by true class (rows) and decided class (columns)."""
    return np.bincount(labels_N * classes + decided_N, minlength=classes**2).reshape(classes, classes).astype(np.int64)


def cumulated_from_top(scores_N: Floats, members_M: Codes, weights_BN: Floats) -> tuple[Floats, Floats]:
    """Sort the members from the highest score; return the sorted negated scores and the weights summed from the top.

    The sums start with a 0, so that `sums[:, searchsorted(keys_M, -t, "right")]` is the weight with score >= t,
    and with "left" the weight with score > t.
    """
    keys_M = -scores_N[members_M]
    order_M = np.argsort(keys_M, kind="stable")
    sums_BM = np.zeros((weights_BN.shape[0], members_M.size + 1))
    np.cumsum(np.take(weights_BN, members_M[order_M], axis=1), axis=1, out=sums_BM[:, 1:])
    return keys_M[order_M], sums_BM


class _ClassMetric(Protocol):
    def __call__(self, labels_N: Codes, scores_NC: Floats, weights_BN: Floats, /, *, of: int) -> Floats: ...


def _macro(metric: _ClassMetric, labels_N: Codes, scores_NC: Floats, weights_BN: Floats) -> Floats:
    if scores_NC.shape[1] == 2:
        return metric(labels_N, scores_NC, weights_BN, of=1)
    values_CB = [metric(labels_N, scores_NC, weights_BN, of=k) for k in range(scores_NC.shape[1])]
    return np.asarray(np.mean(values_CB, axis=0))


def _spread(counts_BC: Floats) -> Floats:
    """Pairs of different classes; written so that it is exactly 0 where one class holds all the weight."""
    return np.asarray((counts_BC * (counts_BC.sum(axis=1, keepdims=True) - counts_BC)).sum(axis=1))


def _mean(values_N: Floats, weights_BN: Floats) -> Floats:
    return ratio(weights_BN @ values_N, weights_BN.sum(axis=1))
