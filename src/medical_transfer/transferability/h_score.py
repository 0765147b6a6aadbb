"""H-score with a shrunk covariance: how much of the features' variance lies between the classes.

Bao et al. 2019 (An information-theoretic approach to transferability in task transfer learning, definition 2), shrunk
as in Ibrahim et al. 2021 (Newer is not always better: rethinking transferability metrics).
"""

from __future__ import annotations

import numpy as np
from scipy.linalg import svd

from medical_transfer.transferability.evidence import Evidence, Floats, Undefined


def h_score(evidence: Evidence) -> float:
    """Shrunk H-score, tr(S_a^+ (1 - a) B), between 0 and C - 1; higher means better separated class means.

    B is the covariance of the class means (weighted by class size), S_a = (1 - a) S + a tr(S)/D I the Ledoit-Wolf
    estimate of the covariance of all features; both divide by N. The factor 1 - a shrinks B as S is shrunk (Ibrahim's
    definition) and keeps the score below C - 1. Worked out in the right singular vectors of the centred features,
    where S_a is diagonal: no D x D matrix is built.

    Raises:
        Undefined: the features are the same for all images.
    """
    centred_ND = evidence.features_ND - evidence.features_ND.mean(axis=0)
    if not np.ptp(evidence.features_ND, axis=0).any():
        raise Undefined(f"{evidence.source} gives the same features for all images")
    _, singular_R, right_RD = svd(centred_ND, full_matrices=False)
    images, width = centred_ND.shape
    variance_R = singular_R**2 / images
    shrinkage = ledoit_wolf_shrinkage(centred_ND, variance_R)
    shrunk_R = (1 - shrinkage) * variance_R + shrinkage * variance_R.sum() / width
    means_CR = _class_means(centred_ND, evidence.labels_N) @ right_RD.T
    between_R = (np.bincount(evidence.labels_N) / images) @ means_CR**2
    kept_R = shrunk_R > shrunk_R.max() * np.finfo(np.float64).eps * max(images, width)
    return float((1 - shrinkage) * (between_R[kept_R] / shrunk_R[kept_R]).sum())


def ledoit_wolf_shrinkage(centred_ND: Floats, variance_R: Floats) -> float:
    """Weight of the identity in the Ledoit-Wolf (2004) covariance, from centred features and their spectrum.

    Equations of section 3.3 in spectral form: |S - mu I|^2 = sum(v^2) - mu^2 D, and the scatter of the x x' around S
    is (mean |x|^4 - sum(v^2)) / N.
    """
    images, width = centred_ND.shape
    squares = float((variance_R**2).sum())
    distance = squares - float(variance_R.sum()) ** 2 / width
    # One feature, or equal variances: S is its own target, and the amount of shrinkage is arbitrary.
    if distance <= 1e-12 * squares:
        return 0.0
    scatter = (float(((centred_ND**2).sum(axis=1) ** 2).mean()) - squares) / images
    return float(min(max(scatter, 0.0), distance) / distance)


def _class_means(features_ND: Floats, labels_N: np.ndarray) -> Floats:
    members_CN = (np.arange(labels_N.max() + 1)[:, None] == labels_N).astype(np.float64)
    means_CD: Floats = members_CN @ features_ND / members_CN.sum(axis=1, keepdims=True)
    return means_CD
