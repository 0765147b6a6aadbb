"""Rank correlation minus a tenth of the distance of means: the chapter's own score, literally and in a sound form.

`spearman_mmd` is the literal formula, kept so that its number can be reproduced. `rdm_spearman_mmd` is the sound form.

What is paired with what. The chapter compares features of source images with features of target images, whose rows
have nothing to do with one another; a rank correlation of the flattened matrices only means something on paired rows.
There are no images of the source domain at hand in the main job, so the pair is (this source's features, the reference
model's features) of the same target images. The reference there is the untrained control: the correlation then
says how much of the geometry is what pixels alone give, not how well the source suits the task. Read it as a
description. Higher is better, as the chapter has it, only where the reference is a model that is good at the target
task (Dwivedi and Roig 2019). The control has no reference but itself and stays without a value.
"""

from __future__ import annotations

import numpy as np
from scipy.spatial.distance import pdist
from scipy.stats import rankdata

from medical_transfer.transferability.draw import draw
from medical_transfer.transferability.evidence import Evidence, Floats, Undefined

MMD_WEIGHT = 0.1
"""The chapter's weight of the distance."""
MAX_IMAGES = 500
"""124,750 pairs. Another draw of 500 out of 800 CT or ultrasound images moves the correlation by about .02; all sources
share one draw."""


def spearman_mmd(evidence: Evidence) -> float:
    """The chapter's literal score (section 1.3) of this source's and the reference's features of the same images.

    Not sound: feature 17 of one model has nothing to do with feature 17 of another, and the distance is in squared
    feature units, so that a source with larger numbers scores lower. Kept so that the number can be reproduced.

    Raises:
        Undefined: no reference, another number of features than the reference, or all numbers of a matrix equal.
    """
    return spearman_minus_mmd(evidence.features_ND, _reference(evidence))


def rdm_spearman_mmd(evidence: Evidence) -> float:
    """The sound form: rank correlation of two dissimilarity matrices, minus 0.1 MMD^2 between domains under one model.

    First term (Kriegeskorte 2008, Dwivedi and Roig 2019): the Euclidean distances of all pairs of the same images under
    this source and under the reference, rank-correlated over the upper triangle; at most 500 images, drawn by the seed
    and the content of the reference rows, so that all sources meet the same images in whatever order. Second term:
    `standardised_mmd2` of source-domain and target images under this source. Without source-domain images it is left
    out: give all sources of one ranking such images, or none.

    Departures: Euclidean distance for 1 - Pearson (defined for one feature and for constant rows too).

    Raises:
        Undefined: no reference, or all images equally far apart under one of the models.
    """
    reference_NE = _reference(evidence)
    drawn = draw(reference_NE, limit=MAX_IMAGES, seed=evidence.seed)
    score = rdm_correlation(evidence.features_ND[drawn], reference_NE[drawn])
    if evidence.source_features_MD is not None:
        score -= MMD_WEIGHT * standardised_mmd2(evidence.source_features_MD, evidence.features_ND)
    return score


def spearman_minus_mmd(source_features_ND: Floats, target_features_ND: Floats) -> float:
    """Spearman correlation of two flattened (N, D) matrices minus 0.1 times their linear-kernel biased MMD^2.

    The chapter's `xx.mean() + yy.mean() - 2 xy.mean()` over Gram matrices equals |mean(x) - mean(y)|^2, computed here
    so, in O(N D). Departure: float64 throughout.

    Raises:
        Undefined: the shapes differ, or all numbers of a matrix are equal.
    """
    if source_features_ND.shape != target_features_ND.shape:
        raise Undefined(
            f"the literal formula flattens two matrices of one shape; found {source_features_ND.shape} "
            f"and {target_features_ND.shape}"
        )
    gap_D = source_features_ND.mean(axis=0, dtype=np.float64) - target_features_ND.mean(axis=0, dtype=np.float64)
    return _spearman(source_features_ND.ravel(), target_features_ND.ravel()) - MMD_WEIGHT * float(gap_D @ gap_D)


def rdm_correlation(features_ND: Floats, reference_NE: Floats) -> float:
    """Spearman correlation of the Euclidean distances of all pairs of rows under two models.

    Raises:
        Undefined: all pairs are equally far apart under one of the models.
    """
    return _spearman(pdist(features_ND), pdist(reference_NE))


def standardised_mmd2(source_MD: Floats, target_ND: Floats) -> float:
    """Linear-kernel biased MMD^2 of standardised features, divided by their number: between 0 (same means) and 4.

    Each feature is divided by its standard deviation in the equal mixture of the two domains, so that neither unit nor
    width nor the sizes of the two sets decide; a feature that is constant in the mixture counts as no difference.
    """
    gap_D = source_MD.mean(axis=0) - target_ND.mean(axis=0)
    mixture_variance_D = (source_MD.var(axis=0) + target_ND.var(axis=0)) / 2 + gap_D**2 / 4
    squares_D = np.divide(gap_D**2, mixture_variance_D, out=np.zeros_like(gap_D), where=mixture_variance_D > 0)
    return float(squares_D.mean())


def _reference(evidence: Evidence) -> Floats:
    if evidence.reference_features_NE is None:
        raise Undefined(f"no other model's features of the same images are given to compare {evidence.source} with")
    return evidence.reference_features_NE


def _spearman(first: Floats, second: Floats) -> float:
    if np.ptp(first) == 0 or np.ptp(second) == 0:
        raise Undefined("a rank correlation needs values that differ; all of one side are equal")
    return float(np.corrcoef(rankdata(first), rankdata(second))[0, 1])
