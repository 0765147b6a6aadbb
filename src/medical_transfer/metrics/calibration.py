"""Whether a probability of 80 % comes true 8 times in 10, and the temperature that makes it so.

With two classes the probability in question is that of the positive class (column 1), as a clinician reads it; with
more classes it is that of the most probable class, and 'comes true' means that this class is the right one.

Shapes: B resamples, N images, C classes, K bins. Labels are class codes 0..C-1.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from medical_transfer.metrics.classification import Codes, Floats, one_hot, ratio

TEMPERATURE_RANGE = (0.02, 50.0)
"""Search range of the temperature."""
LOWEST_LOGIT = float(np.log(np.finfo(float).tiny))
"""Stands for the logarithm of a probability that was rounded to 0; of logits: so far below the largest one."""


@dataclass(frozen=True, slots=True)
class Reliability:
    """A reliability diagram: per bin its range (low, high], its images, mean probability and how often it came true."""

    low_K: Floats
    high_K: Floats
    count_K: Codes
    probability_K: Floats
    frequency_K: Floats

    @property
    def error(self) -> float:
        """The expected calibration error that the diagram adds up to."""
        gap_K = np.abs(self.probability_K - self.frequency_K)
        filled_K = self.count_K > 0
        return float(np.average(gap_K[filled_K], weights=self.count_K[filled_K]))


def ece(
    labels_N: Codes, probabilities_NC: Floats, weights_BN: Floats, *, bins: int = 15, adaptive: bool = True
) -> Floats:
    """Expected calibration error per resample: sum over bins of |sum of w (probability - came true)| / sum of w.

    The bins are cut once, on the images as they are, so all resamples share them. ECE cannot be below 0 and is
    therefore too high in small samples (about .045 for a perfect model, 450 images and 15 bins): `ece_noise` says by
    how much. Source: Naeini et al. (2015), equal width; Nixon et al. (2019), equal mass (`adaptive`).
    """
    return _error(weights_BN, _gaps(labels_N, probabilities_NC, bins, adaptive=adaptive))


def ece_noise(
    labels_N: Codes, probabilities_NC: Floats, weights_BN: Floats, *, bins: int = 15, adaptive: bool = True
) -> Floats:
    """ECE that a perfectly calibrated model would show by chance: as `ece`, of the weights' departure from one each.

    The gaps of a resample are centred at those of the sample, which is how bootstrap tests a null hypothesis.
    """
    gap_NK = _gaps(labels_N, probabilities_NC, bins, adaptive=adaptive)
    return _error(weights_BN, gap_NK, centre_K=gap_NK.mean(axis=0) if labels_N.size else None)


def reliability(labels_N: Codes, probabilities_NC: Floats, *, bins: int = 15, adaptive: bool = True) -> Reliability:
    """Tabulate the reliability diagram; empty bins (equal width only) have count 0 and NaN means."""
    probability_N, came_true_N = _claims(labels_N, probabilities_NC)
    cuts = _cuts(probability_N, bins, adaptive=adaptive)
    bin_N = np.searchsorted(cuts, probability_N, side="left")
    count_K, probability_K, frequency_K = (
        np.bincount(bin_N, weights=each_N, minlength=cuts.size + 1)
        for each_N in (np.ones_like(probability_N), probability_N, came_true_N)
    )
    empty_K = np.where(count_K > 0, count_K, np.nan)
    return Reliability(
        low_K=np.concatenate([[0.0], cuts]),
        high_K=np.concatenate([cuts, [1.0]]),
        count_K=count_K.astype(np.intp),
        probability_K=probability_K / empty_K,
        frequency_K=frequency_K / empty_K,
    )


def fit_temperature(logits_NC: Floats, labels_N: Codes) -> float:
    """Find T > 0 such that softmax(logits / T) fits the labels of the validation images best (log-loss).

    Log-probabilities serve as logits. Source: Guo et al. (2017), section 4.2. Departure: the targets are smoothed as
    in Platt (1999): an image of a class with n images counts as (n + 1) / (n + C) of it and 1 / (n + C) of each
    other. Without that, validation images that are all classified rightly drive T to 0 and every probability to 0 or 1.
    """
    from scipy.optimize import minimize_scalar  # noqa: PLC0415 (half a second that only fitting should pay)

    classes = logits_NC.shape[1]
    images_C = np.bincount(labels_N, minlength=classes)
    target_NC = (one_hot(labels_N, classes) + 1 / images_C[labels_N, None]) / (1 + classes / images_C[labels_N, None])

    def loss(log_temperature: float) -> float:
        return float(-(target_NC * _log_softmax(logits_NC, np.exp(log_temperature))).sum(axis=1).mean())

    low, high = np.log(TEMPERATURE_RANGE)
    found = minimize_scalar(loss, bounds=(low, high), method="bounded", options={"xatol": 1e-8})
    return float(np.exp(found.x))


def apply_temperature(logits_NC: Floats, temperature: float) -> Floats:
    """Turn logits (or log-probabilities) into probabilities softmax(logits / temperature); the order stays."""
    return np.exp(_log_softmax(logits_NC, temperature))


def _log_softmax(logits_NC: Floats, temperature: float) -> Floats:
    finite_NC = np.maximum(logits_NC, np.finfo(float).min / 2)
    below_NC = finite_NC - finite_NC.max(axis=1, keepdims=True)  # first: all logits of an image may lie below the floor
    shifted_NC = np.maximum(below_NC, LOWEST_LOGIT) / temperature
    return np.asarray(shifted_NC - np.log(np.exp(shifted_NC).sum(axis=1, keepdims=True)))


def _claims(labels_N: Codes, probabilities_NC: Floats) -> tuple[Floats, Floats]:
    """What was promised for each image and whether (1 or 0) it came true."""
    if probabilities_NC.shape[1] == 2:
        return probabilities_NC[:, 1], (labels_N == 1).astype(float)
    best_N = probabilities_NC.argmax(axis=1)
    return probabilities_NC[np.arange(best_N.size), best_N], (labels_N == best_N).astype(float)


def _gaps(labels_N: Codes, probabilities_NC: Floats, bins: int, *, adaptive: bool) -> Floats:
    """Promise minus outcome of each image, in the column of its bin."""
    probability_N, came_true_N = _claims(labels_N, probabilities_NC)
    bin_N = np.searchsorted(_cuts(probability_N, bins, adaptive=adaptive), probability_N, side="left")
    return one_hot(bin_N, bins) * (probability_N - came_true_N)[:, None]


def _error(weights_BN: Floats, gap_NK: Floats, centre_K: Floats | None = None) -> Floats:
    total_B = weights_BN.sum(axis=1)
    off_BK = weights_BN @ gap_NK
    if centre_K is not None:
        off_BK -= total_B[:, None] * centre_K
    return ratio(np.abs(off_BK).sum(axis=1), total_B)


def _cuts(probability_N: Floats, bins: int, *, adaptive: bool) -> Floats:
    """Inner borders of the bins, each bin closed above; equal probabilities always share a bin."""
    inner = np.arange(1, bins) / bins
    if not adaptive or probability_N.size == 0:
        return inner
    cuts = np.unique(np.quantile(probability_N, inner, method="inverted_cdf"))
    return np.asarray(cuts[cuts < probability_N.max()])
