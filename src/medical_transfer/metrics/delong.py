"""Areas under ROC curves of several models on the same images: their variances, and whether two differ.

The area is a mean over pairs of a positive and a negative image, so each image has a share in it: its placement, the
part of the other class that it beats. Variances and covariances of areas are those of placements.

Shapes: M models, N images, P positive and Q negative images, G groups.
Sources: DeLong, DeLong and Clarke-Pearson (1988); placements by ranks as in Sun and Xu (2014), so that time grows with
N log N, not with P x Q; several images of a group (a patient) as in Obuchowski (1997), which is DeLong's where each
image is a group of its own.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from statistics import NormalDist

import numpy as np
import numpy.typing as npt

from medical_transfer.metrics.classification import Codes, Floats


@dataclass(frozen=True, slots=True)
class Areas:
    """Areas under the curves of several models and how they vary together from sample to sample."""

    area_M: Floats
    covariance_MM: Floats

    @property
    def deviation_M(self) -> Floats:  # noqa: N802 - a shape
        """Standard error of each area."""
        return np.sqrt(np.diag(self.covariance_MM))


@dataclass(frozen=True, slots=True)
class Difference:
    """The second area minus the first, with its interval and the two-sided p-value of no difference."""

    estimate: float
    low: float
    high: float
    p: float


def areas(labels_N: Codes, scores_MN: Floats, groups_N: npt.NDArray[np.generic] | None = None) -> Areas:
    """Areas of M models with their covariance.

    Args:
        labels_N: 1 for positive images, 0 for negative ones.
        scores_MN: score of each image under each model; higher is more positive, on any scale.
        groups_N: images of one group are not independent; null: each image is.

    Returns:
        NaN for areas where a class has no image, and for the covariance where a class lies in fewer than two groups.
    """
    positive_N = labels_N == 1
    group_N = np.arange(labels_N.size) if groups_N is None else np.unique(groups_N, return_inverse=True)[1]
    positives, negatives = int(positive_N.sum()), int((~positive_N).sum())
    models = scores_MN.shape[0]
    if not positives or not negatives:
        return Areas(np.full(models, np.nan), np.full((models, models), np.nan))
    placement_MN = _placements(positive_N, scores_MN)
    area_M = placement_MN[:, positive_N].mean(axis=1)
    centred_MN = placement_MN - area_M[:, None]
    ofP_MG, ofQ_MG = (_sums(centred_MN[:, part], group_N[part], group_N) for part in (positive_N, ~positive_N))
    withP, withQ, groups = (np.unique(each).size for each in (group_N[positive_N], group_N[~positive_N], group_N))
    if min(withP, withQ) < 2:
        return Areas(area_M, np.full((models, models), np.nan))
    both_MM = groups / (groups - 1) * (ofP_MG @ ofQ_MG.T) / (positives * negatives)
    covariance_MM = (
        withP / (withP - 1) * (ofP_MG @ ofP_MG.T) / positives**2
        + withQ / (withQ - 1) * (ofQ_MG @ ofQ_MG.T) / negatives**2
        + both_MM
        + both_MM.T
    )
    return Areas(area_M, covariance_MM)


def paired_difference(
    labels_N: Codes,
    first_N: Floats,
    second_N: Floats,
    groups_N: npt.NDArray[np.generic] | None = None,
    coverage: float = 0.95,
) -> Difference:
    """Area of the second model minus that of the first on the same images, by a normal approximation.

    Two models that order the images alike do not differ: the interval is [0, 0] and p is 1. Ends and p are NaN where
    `areas` gives no covariance.
    """
    found = areas(labels_N, np.stack([first_N, second_N]), groups_N)
    estimate = float(found.area_M[1] - found.area_M[0])
    contrast = np.array([-1.0, 1.0])
    variance = float(contrast @ found.covariance_MM @ contrast)
    if math.isnan(variance):
        return Difference(estimate, math.nan, math.nan, math.nan)
    deviation = math.sqrt(max(variance, 0.0))
    half = NormalDist().inv_cdf((1 + coverage) / 2) * deviation
    if deviation <= 1e-12:  # rounding alone
        return Difference(estimate, estimate, estimate, 1.0 if abs(estimate) <= 1e-12 else 0.0)
    p = 2 * NormalDist().cdf(-abs(estimate) / deviation)
    return Difference(estimate, estimate - half, estimate + half, p)


def _placements(positive_N: npt.NDArray[np.bool_], scores_MN: Floats) -> Floats:
    """Of each image the share of the other class that it beats, a tie counting half."""
    placement_MN = np.empty(scores_MN.shape)
    for scores_N, placement_N in zip(scores_MN, placement_MN, strict=True):
        below, above = np.sort(scores_N[~positive_N]), np.sort(scores_N[positive_N])
        placement_N[positive_N] = _midranks(below, scores_N[positive_N]) / below.size
        placement_N[~positive_N] = 1 - _midranks(above, scores_N[~positive_N]) / above.size
    return placement_MN


def _midranks(sorted_K: Floats, scores_N: Floats) -> Floats:
    """How many of the sorted scores lie below each score, those that equal it counting half."""
    left_N, right_N = (np.searchsorted(sorted_K, scores_N, side=side) for side in ("left", "right"))
    return np.asarray((left_N + right_N) / 2)


def _sums(values_MK: Floats, group_K: Codes, group_N: Codes) -> Floats:
    """Sums over the images of each group (M, G); 0 where a group has none."""
    count = int(group_N.max()) + 1
    return np.stack([np.bincount(group_K, weights=values_K, minlength=count) for values_K in values_MK])
