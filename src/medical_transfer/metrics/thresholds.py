"""Where a probability becomes a decision: set on validation, then frozen.

An image is positive where its score is at least the threshold. `prevalence`, `costs` and `half` follow from what a
calibrated probability means: sensitivity + specificity is greatest where an image is as likely among the positives as
among the negatives, which is where p equals the prevalence. The other rules search the validation scores. A threshold
that is found so lies half-way between two neighbouring scores, so that it does not hang on the last digit of one of
them; among equally good thresholds the one nearest to one half wins, then the lower: the answer depends on the images,
not on their order. The best cut of few images is mostly chance (its error falls with the cube root of N only), hence
the default.

Shapes: N images, C classes, T candidate thresholds, P positive and Q negative scores.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np

from medical_transfer.config.evaluation import ThresholdRule
from medical_transfer.metrics.classification import Codes, Floats
from medical_transfer.types import UserError

HALF = 0.5


def fit_threshold(
    labels_N: Codes, scores_N: Floats, rule: ThresholdRule, target: float = 0.95, cost_ratio: float = 1.0
) -> float:
    """Set the threshold of the positive class's calibrated probability.

    Args:
        labels_N: 1 for positive images, 0 for negative ones.
        scores_N: probability of the positive class, within 0..1.
        rule: `half`, `costs`, `prevalence` (the share of positives among the labels), or a rule of the menu `RULES`.
        target: sensitivity or specificity to be reached, for the rules of that name.
        cost_ratio: cost of a missed positive over that of a false alarm, for `costs`: an image is called positive where
            p times it is at least 1 - p (Elkan 2001, The foundations of cost-sensitive learning, eq. 2).

    Raises:
        UserError: the rule compares classes and there is only one.
    """
    if rule == "half":
        return HALF
    if rule == "costs":
        return 1 / (1 + cost_ratio)
    positive_P, negative_Q = np.sort(scores_N[labels_N == 1]), np.sort(scores_N[labels_N == 0])
    if not positive_P.size or not negative_Q.size:
        raise UserError(
            f"the validation split has {positive_P.size} positive and {negative_Q.size} negative images, and threshold "
            f"rule '{rule}' needs both: make the validation split larger or set evaluation.threshold=half"
        )
    if rule == "prevalence":
        return positive_P.size / (positive_P.size + negative_Q.size)
    candidates_T = _candidates(scores_N)
    hits_T = positive_P.size - np.searchsorted(positive_P, candidates_T, side="left")
    rejections_T = np.searchsorted(negative_Q, candidates_T, side="left")
    merit_T = RULES[rule](hits_T, rejections_T, positive_P.size, negative_Q.size, target)
    best = candidates_T[merit_T == merit_T.max()]
    return float(best[np.argmin(np.abs(best - HALF).round(12))])


def decide(probabilities_NC: Floats, threshold: float | None = None, positive: int = 1) -> Codes:
    """Decide each image: by the threshold where there are two classes and one is given, else the most probable class.

    Returns class codes (N,); equal probabilities go to the lower code.
    """
    if threshold is None:
        return np.asarray(probabilities_NC.argmax(axis=1))
    if probabilities_NC.shape[1] != 2:
        raise ValueError(f"a threshold decides between two classes, not {probabilities_NC.shape[1]}")
    return np.where(probabilities_NC[:, positive] >= threshold, positive, 1 - positive).astype(np.intp)


def _youden(hits_T: Codes, rejections_T: Codes, positives: int, negatives: int, target: float) -> Codes:  # noqa: ARG001
    """Sensitivity + specificity - 1 (Youden 1950), times positives x negatives to stay in whole numbers."""
    return hits_T * negatives + rejections_T * positives


def _at_sensitivity(hits_T: Codes, rejections_T: Codes, positives: int, negatives: int, target: float) -> Codes:  # noqa: ARG001
    """Highest specificity among thresholds that reach the sensitivity; then the highest sensitivity."""
    return np.where(hits_T >= target * positives - 1e-9, rejections_T * (positives + 1) + hits_T, -1)


def _at_specificity(hits_T: Codes, rejections_T: Codes, positives: int, negatives: int, target: float) -> Codes:
    """Highest sensitivity among thresholds that reach the specificity; then the highest specificity."""
    return _at_sensitivity(rejections_T, hits_T, negatives, positives, target)


RULES: Mapping[ThresholdRule, Callable[[Codes, Codes, int, int, float], Codes]] = {
    "youden": _youden,
    "sensitivity": _at_sensitivity,
    "specificity": _at_specificity,
}
"""What each rule maximises, from the positives called positive and the negatives called negative."""


def _candidates(scores_N: Floats) -> Floats:
    """Mid-points between neighbours of 0, the distinct scores and 1, and both ends: all positive, all negative."""
    ladder = np.unique(np.concatenate([[0.0], scores_N, [1.0]]))
    low, high = ladder[:-1], ladder[1:]
    middle = low + (high - low) / 2
    # Between two neighbouring floats there is no middle; the upper one separates them just as well.
    return np.concatenate([[0.0], np.where(middle > low, middle, high), [np.nextafter(1.0, 2.0)]])
