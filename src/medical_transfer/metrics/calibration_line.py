"""Are probabilities too extreme, too timid, or too high all over? The line of truth over what was stated, in log-odds.

log-odds(truth) = intercept + slope * log-odds(stated). A slope below 1 says that probabilities are too extreme (as
after overfitting), above 1 too timid. The intercept is that of slope 1: above 0 the positive class is more frequent
than stated, below 0 rarer. A line needs far fewer images than a diagram of bins.

Shapes: B resamples, N images. With two classes only; column 1 is the positive one.
Sources: Cox (1958); Van Calster et al. (2019), 'calibration: the Achilles heel of predictive analytics'.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from medical_transfer.metrics.classification import Codes, Floats

STEPS = 40
"""Newton's method takes 5 to 10; what has not come to rest by then has no maximum (the classes are parted)."""
LONGEST_STEP = 4.0
"""A step of either coefficient, in deviations of the log-odds: a longer one overshoots where curves are flat."""
AT_REST = 1e-7
"""A step this short is the last: the next would be its square."""
FLATTEST = 1e-9
"""Mean variance of an image's truth below which every image is certain: the scores part the classes."""


def calibration_slope(labels_N: Codes, probabilities_NC: Floats, weights_BN: Floats) -> Floats:
    """Slope of the line, 1 is best; NaN where a class is missing, scores are constant or part the classes entirely."""
    stated_N = log_odds(probabilities_NC)
    deviation = float(stated_N.std()) if stated_N.size else 0.0
    if deviation < AT_REST:
        return np.full(weights_BN.shape[0], np.nan)
    slope_B = _fit((stated_N - stated_N.mean()) / deviation, None, labels_N, weights_BN)
    return np.asarray(slope_B / deviation)


def calibration_intercept(labels_N: Codes, probabilities_NC: Floats, weights_BN: Floats) -> Floats:
    """Intercept of the line of slope 1 (calibration in the large), 0 is best; NaN where a class is missing."""
    return _fit(np.zeros(labels_N.size), log_odds(probabilities_NC), labels_N, weights_BN)


def log_odds(probabilities_NC: Floats) -> Floats:
    """Log-odds of the positive class, probabilities of 0 floored at 2.2e-16."""
    log_N2 = np.log(np.clip(probabilities_NC, np.finfo(float).eps, 1))
    return np.asarray(log_N2[:, 1] - log_N2[:, 0])


def _fit(stated_N: Floats, offset_N: Floats | None, labels_N: Codes, weights_BN: Floats) -> Floats:
    """The slope, or with an offset the intercept alone; resamples start from the line of all images, which is near."""
    whole_12, rested_1 = _newton(np.zeros((1, 2)), stated_N, offset_N, labels_N, np.ones((1, labels_N.size)))
    near_B2 = np.where(rested_1, whole_12, 0.0).repeat(weights_BN.shape[0], axis=0)
    line_B2, rested_B = _newton(near_B2, stated_N, offset_N, labels_N, weights_BN)
    return np.where(rested_B, line_B2[:, 1 if offset_N is None else 0], np.nan)


def _newton(
    line_B2: Floats, stated_N: Floats, offset_N: Floats | None, labels_N: Codes, weights_BN: Floats
) -> tuple[Floats, npt.NDArray[np.bool_]]:
    """Newton's method for all resamples at once: intercept and slope, and which have come to rest."""
    positive_N = (labels_N == 1).astype(float)
    total_B, positives_B = weights_BN.sum(axis=1), weights_BN @ positive_N
    open_B = (positives_B > 0) & (positives_B < total_B)
    rested_B = np.zeros(weights_BN.shape[0], dtype=bool)
    for _ in range(STEPS):
        rows = np.flatnonzero(open_B & ~rested_B)
        if not rows.size:
            break
        weights_bN = weights_BN if rows.size == rested_B.size else weights_BN[rows]
        step_b2, variance_b = _step(line_B2[rows], stated_N, offset_N, positive_N, weights_bN)
        line_B2[rows] += np.clip(step_b2, -LONGEST_STEP, LONGEST_STEP)
        rested_B[rows] = np.abs(step_b2).max(axis=1) < AT_REST
        open_B[rows] = variance_b > FLATTEST * total_B[rows]
    return line_B2, open_B & rested_B


def _step(
    line_b2: Floats, stated_N: Floats, offset_N: Floats | None, positive_N: Floats, weights_bN: Floats
) -> tuple[Floats, Floats]:
    """Gradient of the log-likelihood over its curvature, and the variance of the truth that the line leaves."""
    expected_bN = _expected(line_b2, stated_N, offset_N)
    curved_bN = weights_bN * expected_bN  # first the expected positives, then what they could differ by
    gradient0_b = weights_bN @ positive_N - curved_bN.sum(axis=1)
    gradient1_b = weights_bN @ (positive_N * stated_N) - curved_bN @ stated_N
    np.subtract(1, expected_bN, out=expected_bN)
    curved_bN *= expected_bN
    tiny = np.finfo(float).tiny
    curve00_b = np.maximum(curved_bN.sum(axis=1), tiny)
    if offset_N is not None:
        return np.stack([gradient0_b / curve00_b, np.zeros_like(gradient0_b)], axis=1), curve00_b
    curve01_b, curve11_b = curved_bN @ stated_N, curved_bN @ stated_N**2
    determinant_b = np.maximum(curve00_b * curve11_b - curve01_b**2, tiny)
    step0_b = (curve11_b * gradient0_b - curve01_b * gradient1_b) / determinant_b
    step1_b = (curve00_b * gradient1_b - curve01_b * gradient0_b) / determinant_b
    return np.stack([step0_b, step1_b], axis=1), curve00_b


def _expected(line_b2: Floats, stated_N: Floats, offset_N: Floats | None) -> Floats:
    """Probability of the positive class on the line: 1 / (1 + exp(-x)) in a form that cannot overflow."""
    half_bN = np.multiply.outer(line_b2[:, 1] / 2, stated_N)
    half_bN += line_b2[:, :1] / 2
    if offset_N is not None:
        half_bN += offset_N / 2
    np.tanh(half_bN, out=half_bN)
    half_bN += 1
    half_bN /= 2
    return half_bN
