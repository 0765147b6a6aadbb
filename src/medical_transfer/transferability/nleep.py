"""NLEEP: LEEP with the components of a Gaussian mixture of the features in place of the source's classes.

Li et al. 2021 (Ranking neural checkpoints).
"""

from __future__ import annotations

import warnings

import numpy as np
from sklearn.decomposition import PCA
from sklearn.exceptions import ConvergenceWarning
from sklearn.mixture import GaussianMixture

from medical_transfer.transferability.draw import content_order
from medical_transfer.transferability.evidence import Evidence, Floats, Integers, Undefined
from medical_transfer.transferability.leep import leep_of

ENERGY = 0.8
"""Share of the variance that the principal components keep."""
COMPONENTS_PER_CLASS = 5
IMAGES_PER_COMPONENT = 5
"""At most one component for so many images: with one for each image any features would look perfect."""
MAX_STEPS = 100


def nleep(evidence: Evidence) -> float:
    """Mean log likelihood of the labels given soft clusters of the features, -H(Y) to 0; higher is better.

    Principal components with 80 % of the variance, a Gaussian mixture with full covariances and five components per
    class fitted without labels, and LEEP of its posteriors.

    Departures: at most one component for five images, and no more than distinct rows, so that the score is defined for
    few images; the coordinates are divided by their root mean square, so that the ridge on the covariances (1e-6 of
    scikit-learn) means the same in any unit; rows are put in an order of their own, so that neither the order of the
    images nor a rotation of the features moves the seeded start. The mixture finds one of many optima: compare sources
    under one seed, and expect another seed to move the score.

    Raises:
        Undefined: the features are the same for all images.
    """
    if not np.ptp(evidence.features_ND, axis=0).any():
        raise Undefined(f"{evidence.source} gives the same features for all images")
    order = content_order(evidence.features_ND, evidence.seed)
    coordinates_NR = principal_coordinates(evidence.features_ND[order])
    by_length = _by_length(coordinates_NR)
    posteriors_NK = mixture_posteriors(coordinates_NR[by_length], components(evidence), evidence.seed)
    return leep_of(posteriors_NK, evidence.labels_N[order][by_length])


def components(evidence: Evidence) -> int:
    """Components of the mixture: five per class, capped by the number of images and of distinct rows; at least one."""
    distinct = len({row_D.tobytes() for row_D in evidence.features_ND})
    most = min(len(evidence.features_ND) // IMAGES_PER_COMPONENT, distinct)
    return max(1, min(COMPONENTS_PER_CLASS * evidence.classes, most))


def principal_coordinates(features_ND: Floats) -> Floats:
    """Coordinates (N, R) on the principal components that hold 80 % of the variance, with a mean square of 1."""
    coordinates_NR: Floats = PCA(n_components=ENERGY, svd_solver="full").fit_transform(features_ND)
    coordinates_NR /= np.sqrt((coordinates_NR**2).mean())
    return coordinates_NR


def mixture_posteriors(coordinates_NR: Floats, count: int, seed: int) -> Floats:
    """Probability (N, K) of each component of a fitted mixture for each row."""
    mixture = GaussianMixture(count, covariance_type="full", max_iter=MAX_STEPS, random_state=seed)
    with warnings.catch_warnings():
        # Clusters are pseudo classes whether or not the last digit of their likelihood has settled.
        warnings.simplefilter("ignore", ConvergenceWarning)
        posteriors_NK: Floats = mixture.fit(coordinates_NR).predict_proba(coordinates_NR)
    return posteriors_NK


def _by_length(coordinates_NR: Floats) -> Integers:
    """Rows by their distance from the mean, which a rotation keeps; equal but for rounding counts as equal."""
    length_N = np.round(np.linalg.norm(coordinates_NR, axis=1), 9)
    return np.argsort(length_N, kind="stable").astype(np.int64)
