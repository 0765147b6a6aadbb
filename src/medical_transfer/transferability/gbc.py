"""GBC: how little the classes overlap, each a Gaussian in the space of the features.

Pandy et al. 2022 (Transferability estimation using Bhattacharyya class separability).
"""

from __future__ import annotations

import numpy as np
from sklearn.decomposition import PCA

from medical_transfer.transferability.evidence import Evidence, Floats, Integers, Undefined

DIMENSIONS = 64
"""Principal components that are kept, as in the paper."""
FLOOR = 1e-4
"""Least variance of a class, as a share of the mean variance of the coordinates."""


def gbc(evidence: Evidence) -> float:
    """Negative sum over ordered pairs of classes of exp(-Bhattacharyya distance): -C(C - 1) to 0, higher is better.

    The score is that of spherical Gaussians on 64 principal components (fewer where the features span fewer);
    `gbc_diagonal` has a variance of its own for each component. See `overlap`.

    Raises:
        Undefined: a class has one image only, so that it has no variance, or the features are the same for all images.
    """
    coordinates_NR, labels_N = _coordinates(evidence), evidence.labels_N
    return 0.0 - overlap(coordinates_NR, labels_N, diagonal=False)


def gbc_diagonal(evidence: Evidence) -> float:
    """The same with diagonal covariances, which unlike the spherical ones need enough images of each class.

    Raises:
        Undefined: as `gbc`.
    """
    return 0.0 - overlap(_coordinates(evidence), evidence.labels_N, diagonal=True)


def overlap(coordinates_NR: Floats, labels_N: Integers, *, diagonal: bool) -> float:
    """Sum over ordered pairs of classes of the Bhattacharyya coefficient exp(-d) of two Gaussians, from 0 to C(C - 1).

    d = sum over coordinates of (m - m')^2 / 8v + ln(v / sqrt(u u')) / 2, where v = (u + u') / 2 and u are the variances
    (over n) of a class; spherical: their mean over the coordinates in place of each.

    Departures: the second term counts each coordinate for spherical covariances too (the authors' code adds it once);
    variances are at least 1e-4 of the mean variance of the coordinates (1e-4 there, whatever the unit).
    """
    classes = np.arange(labels_N.max() + 1)
    means_CR = np.stack([coordinates_NR[labels_N == label].mean(axis=0) for label in classes])
    variance_CR = np.stack([coordinates_NR[labels_N == label].var(axis=0) for label in classes])
    if not diagonal:
        variance_CR = np.broadcast_to(variance_CR.mean(axis=1, keepdims=True), variance_CR.shape)
    variance_CR = np.maximum(variance_CR, FLOOR * coordinates_NR.var(axis=0).mean())
    total = 0.0
    for label in classes[1:]:
        middle_CR = (variance_CR[:label] + variance_CR[label]) / 2
        gaps_CR = (means_CR[:label] - means_CR[label]) ** 2 / (8 * middle_CR)
        spreads_CR = np.log(middle_CR) - (np.log(variance_CR[:label]) + np.log(variance_CR[label])) / 2
        total += 2 * float(np.exp(-(gaps_CR + spreads_CR / 2).sum(axis=1)).sum())
    return total


def _coordinates(evidence: Evidence) -> Floats:
    """Principal coordinates (N, R) without those that only rounding gives."""
    if not np.ptp(evidence.features_ND, axis=0).any():
        raise Undefined(f"{evidence.source} gives the same features for all images")
    sizes_C = np.bincount(evidence.labels_N)
    if sizes_C.min() < 2:
        raise Undefined(
            f"class number {sizes_C.argmin()} has one image only; the variance of a class needs at least two"
        )
    pca = PCA(min(DIMENSIONS, *evidence.features_ND.shape), svd_solver="full").fit(evidence.features_ND)
    deviations_R = np.sqrt(pca.explained_variance_)
    kept_R = deviations_R > deviations_R[0] * np.finfo(np.float64).eps * max(evidence.features_ND.shape)
    coordinates_NR: Floats = pca.transform(evidence.features_ND)[:, kept_R]
    return coordinates_NR
