"""How unlike the training images an image is, by what the model's last layer sees, and from where on it abstains.

Shapes: N training, M validation, n new images, H features, C classes, K directions in which training images vary.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from medical_transfer.metrics.classification import Codes, Floats
from medical_transfer.models.reference import Reference
from medical_transfer.transferability.h_score import ledoit_wolf_shrinkage

NEIGHBOURS = 10
"""k of the nearest-neighbour distance: of a thousand images one in a hundred, as Sun et al. found best."""
FLOOR = 1e-6
"""Directions without variance count as having this share of the mean variance."""

Score = Callable[[npt.NDArray[np.floating]], Floats]
"""Features (n, H) -> novelty (n,); higher is less like the training images."""


@dataclass(frozen=True, eq=False)
class Detector:
    """A novelty score, and the value above which a model abstains."""

    score: Score
    threshold: float


def fit_detector(reference: Reference, name: str, false_abstain: float) -> Detector:
    """Fit a score of the menu to training features, and its threshold to validation features.

    Args:
        reference: what the model saw.
        name: of the score, in `SCORES`.
        false_abstain: share of images like the validation images that may be abstained on.
    """
    score = SCORES[name](reference.train_ND.astype(np.float64), reference.train_labels_N)
    return Detector(score, threshold_for(score(reference.val_MD), false_abstain))


def threshold_for(scores_M: Floats, false_abstain: float) -> float:
    """The validation score that a new image of the same kind exceeds with at most this chance; no one where M is small.

    It is the ceil((1 - a)(M + 1))-th smallest (split conformal prediction: Vovk et al. 2005; the chance is exact for
    exchangeable images), infinite where that is more than M.
    """
    rank = math.ceil((1 - false_abstain) * (scores_M.size + 1) - 1e-9)
    return float(np.sort(scores_M)[rank - 1]) if rank <= scores_M.size else math.inf


def mahalanobis(features_ND: Floats, labels_N: Codes) -> Score:
    """Distance to the nearest class mean under the covariance within classes, which all classes share.

    The covariance is shrunk as Ledoit and Wolf (2004), so that it can be inverted with fewer images than features.
    Source: Lee et al. (2018), A simple unified framework for detecting out-of-distribution samples, eq. 1 and 2,
    without their input noise and feature ensemble; the square root of theirs.
    """
    classes, own_N = np.unique(labels_N, return_inverse=True)
    means_CH = np.stack([features_ND[own_N == code].mean(axis=0) for code in range(len(classes))])
    residuals_NH = features_ND - means_CH[own_N]
    _, singular_K, directions_KH = np.linalg.svd(residuals_NH, full_matrices=False)
    variance_K = singular_K**2 / len(residuals_NH)
    shrinkage = ledoit_wolf_shrinkage(residuals_NH, variance_K)
    mean_variance = float(variance_K.sum()) / features_ND.shape[1] or 1.0
    rest = max(shrinkage, FLOOR) * mean_variance  # of every direction in which no training image varies
    shrunk_K = np.maximum((1 - shrinkage) * variance_K + shrinkage * mean_variance, rest)
    correction_K = 1 / shrunk_K - 1 / rest
    means_CK = means_CH @ directions_KH.T

    def score(features_nH: npt.NDArray[np.floating]) -> Floats:
        double_nH = features_nH.astype(np.float64)
        along_nK = double_nH @ directions_KH.T  # once for all classes: nearly all of the work
        squares = [
            ((double_nH - mean_H) ** 2).sum(axis=1) / rest + (along_nK - mean_K) ** 2 @ correction_K
            for mean_H, mean_K in zip(means_CH, means_CK, strict=True)
        ]
        return np.asarray(np.sqrt(np.maximum(np.min(squares, axis=0), 0)))

    return score


def nearest(features_ND: Floats, labels_N: Codes) -> Score:  # noqa: ARG001 - the signature of the menu
    """Distance to the k-th nearest training image, all features scaled to length 1.

    Source: Sun et al. (2022), Out-of-distribution detection with deep nearest neighbors, eq. 4.
    """
    unit_ND = _unit(features_ND)
    k = min(NEIGHBOURS, len(unit_ND))

    def score(features_nH: npt.NDArray[np.floating]) -> Floats:
        squares_nN = np.maximum(2 - 2 * _unit(features_nH.astype(np.float64)) @ unit_ND.T, 0)
        return np.asarray(np.sqrt(np.partition(squares_nN, k - 1, axis=1)[:, k - 1]))

    return score


SCORES: Mapping[str, Callable[[Floats, Codes], Score]] = {"mahalanobis": mahalanobis, "nearest": nearest}
"""Name of a novelty score -> its fit to training features and class numbers."""


def _unit(features_nH: Floats) -> Floats:
    lengths_n = np.linalg.norm(features_nH, axis=1, keepdims=True)
    return np.asarray(features_nH / np.maximum(lengths_n, np.finfo(np.float64).tiny))
