"""Frechet distance of two domains taken as Gaussian: how far means and covariances lie apart.

Dowson and Landau 1982; Heusel et al. 2017 (GANs trained by a two time-scale update rule), equation 6, as 'FID' over
features of an Inception network: over another backbone the number is another one, and only comparable to itself.
"""

from __future__ import annotations

import numpy as np

from medical_transfer.transferability.distances.permuted import Permuted, labelings, permuted
from medical_transfer.transferability.distances.two_domains import TwoDomains
from medical_transfer.transferability.evidence import Floats


def frechet(domains: TwoDomains, permutations: int) -> Permuted:
    """|mean difference|^2 + tr(S1 + S2 - 2 (S1 S2)^(1/2)) in squared feature units, with covariances over N - 1.

    Not unbiased: with fewer images than features it is far above zero for equal domains too, and the more so the fewer
    the images (Chong and Forsyth 2020). Read it beside what permuted labels give, which have the same bias.

    Cost: the singular values of a matrix of at most min(N, M, D) rows for each permutation, O(N M D) time. With
    N = M = 1000, D = 1280: .4 s each on one core, so take fewer permutations than for the other distances.
    """
    features_PR = _turned(domains.centred())
    labels_AG = labelings(domains.is_source, permutations, np.random.default_rng(domains.seed))
    labels_AP = labels_AG[:, domains.groups]
    return permuted(np.array([frechet_square(features_PR[each_P], features_PR[~each_P]) for each_P in labels_AP]))


def frechet_square(source_ND: Floats, target_MD: Floats) -> float:
    """The squared Frechet distance of two sets of rows.

    No root of a D x D matrix is taken, which is unstable for the singular covariances that N < D gives. With
    S1 = X'X and S2 = Y'Y the squares of the singular values of X Y' are the eigenvalues of S1 S2, so the trace of the
    root is their sum: exact for any N, M and D. A domain of one row has no covariance.
    """
    gap_D = source_ND.mean(axis=0) - target_MD.mean(axis=0)
    first_RD, second_RD = _root(source_ND), _root(target_MD)
    overlap = np.linalg.svd(first_RD @ second_RD.T, compute_uv=False).sum()
    return float(gap_D @ gap_D + (first_RD**2).sum() + (second_RD**2).sum() - 2 * overlap)


def _root(rows_ND: Floats) -> Floats:
    """A matrix R of at most D rows with R'R = the covariance of the rows."""
    centred_ND: Floats = (rows_ND - rows_ND.mean(axis=0)) / np.sqrt(max(len(rows_ND) - 1, 1))
    images, width = rows_ND.shape
    return _triangle(centred_ND) if images > width else centred_ND


def _turned(features_PD: Floats) -> Floats:
    """The same rows in a basis of their own span: no distance changes, and no more columns than rows."""
    images, width = features_PD.shape
    return _triangle(features_PD.T).T if width > images else features_PD


def _triangle(rows_ND: Floats) -> Floats:
    """The R of QR."""
    return np.asarray(np.linalg.qr(rows_ND, mode="r"), dtype=np.float64)
