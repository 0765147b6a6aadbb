"""Kolmogorov-Smirnov: how far two domains' distribution functions lie apart along any direction of largest variance."""

from __future__ import annotations

import numpy as np

from medical_transfer.transferability.distances.permuted import Permuted, labelings, permuted
from medical_transfer.transferability.distances.two_domains import TwoDomains
from medical_transfer.transferability.evidence import Floats

DIRECTIONS = 32
"""Principal components of the pooled images that are looked at, as in Rabanser et al."""


def kolmogorov_smirnov(domains: TwoDomains, permutations: int) -> Permuted:
    """The largest of the two-sample statistics along the leading principal components of all pooled images, 0 to 1.

    The components do not feel which image is of which domain, so all permutations share them, and the permutation test
    of the largest statistic needs no correction for their number. Source: Rabanser et al. (2019), Failing loudly,
    section 3.2 (univariate tests on reduced dimensions); departure: permutations in place of Bonferroni's bound.
    """
    centred_PD = domains.centred()
    directions_KD = np.linalg.svd(centred_PD, full_matrices=False)[2][:DIRECTIONS]
    labels_AG = labelings(domains.is_source, permutations, np.random.default_rng(domains.seed))
    labels_AP = labels_AG[:, domains.groups]
    largest_A = np.zeros(len(labels_AG))
    for scores_P in (centred_PD @ directions_KD.T).T:
        np.maximum(largest_A, _statistics(scores_P, labels_AP), out=largest_A)
    return permuted(largest_A)


def _statistics(scores_P: Floats, labels_AP: np.ndarray) -> Floats:
    """Largest gap of the two empirical distribution functions, under each labelling."""
    order_P = np.argsort(scores_P, kind="stable")
    ends_E = np.flatnonzero(np.append(np.diff(scores_P[order_P]) > 0, True))
    counts_AP = labels_AP[:, order_P].cumsum(axis=1)
    source_AE, total_A1 = counts_AP[:, ends_E], counts_AP[:, -1:]
    target_AE = ends_E + 1 - source_AE
    gaps_AE = source_AE / total_A1 - target_AE / (len(scores_P) - total_A1)
    return np.asarray(np.abs(gaps_AE).max(axis=1))
