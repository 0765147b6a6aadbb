"""PARC: do images of different classes lie further apart than images of one class?

Bolya et al. 2021 (Scalable diverse model selection for accessible transfer learning).
"""

from __future__ import annotations

import numpy as np
from scipy.stats import rankdata

from medical_transfer.transferability.draw import draw
from medical_transfer.transferability.evidence import Evidence, Floats, Integers, Undefined

MAX_IMAGES = 1000
"""499,500 pairs, about 40 MB. Another draw of 1,000 out of 2,100 images moves the score by about .01."""


def parc(evidence: Evidence) -> float:
    """Spearman correlation of the Pearson distances of all pairs of images in features and in labels, from -1 to 1.

    Features are standardised over the images (as in the authors' code), then each pair of rows has distance 1 - r.
    One-hot labels have distance 0 within a class and C/(C - 1) between two, so 0 and 1 have the same ranks. At most
    1,000 images, drawn by the seed and the content of the reference rows, or of the features where there is no
    reference: sources with one reference meet the same images, in whatever order they come.

    Departures: the correlation of the paper, not 100 times it; a row without variance has r = 0 with all others;
    distances are equal if they are equal to nine decimals, where rounding would break ties.

    Raises:
        Undefined: one feature only, or all images equally far apart.
    """
    if evidence.features_ND.shape[1] < 2:
        raise Undefined(f"{evidence.source} gives one feature; the correlation of two images needs at least two")
    shared_NE = evidence.features_ND if evidence.reference_features_NE is None else evidence.reference_features_NE
    drawn = draw(shared_NE, limit=MAX_IMAGES, seed=evidence.seed)
    return distance_correlation(evidence.features_ND[drawn], evidence.labels_N[drawn])


def distance_correlation(features_ND: Floats, labels_N: Integers) -> float:
    """Spearman correlation over pairs of 1 - Pearson of standardised rows with 'of another class'.

    Raises:
        Undefined: all pairs are equally far apart, or none or all are of one class.
    """
    upper = np.triu_indices(len(labels_N), 1)
    distances_P = np.round(1 - _row_correlations(_standardised(features_ND))[upper], 9)
    different_P = (labels_N[:, None] != labels_N)[upper].astype(np.float64)
    if np.ptp(distances_P) == 0 or np.ptp(different_P) == 0:
        raise Undefined("a rank correlation needs pairs of images that differ in their distance, and in both kinds")
    return float(np.corrcoef(rankdata(distances_P), different_P)[0, 1])


def _standardised(features_ND: Floats) -> Floats:
    """Mean 0 and deviation 1 of each feature; one that is constant but for rounding becomes 0."""
    centred_ND = features_ND - features_ND.mean(axis=0)
    scale_D = centred_ND.std(axis=0)
    varies_D = scale_D > 1e-12 * np.abs(features_ND).max(axis=0)
    standard_ND: Floats = np.divide(centred_ND, scale_D, out=np.zeros_like(centred_ND), where=varies_D)
    return standard_ND


def _row_correlations(rows_ND: Floats) -> Floats:
    centred_ND = rows_ND - rows_ND.mean(axis=1, keepdims=True)
    length_N1 = np.linalg.norm(centred_ND, axis=1, keepdims=True)
    varies_N1 = length_N1 > 1e-12 * np.abs(rows_ND).max(axis=1, keepdims=True)
    unit_ND = np.divide(centred_ND, length_N1, out=np.zeros_like(centred_ND), where=varies_N1)
    correlations_NN: Floats = unit_ND @ unit_ND.T
    return correlations_NN
