"""Proxy A-distance: how well a new linear classifier tells the domains apart, on images that it has not seen.

Ben-David et al. 2007 (Analysis of representations for domain adaptation), section 4, and Ganin et al. 2016, section
5.1.4: 2 (1 - 2 error), 2 where no image is taken for one of the other domain, 0 where the classifier is a coin.
"""

from __future__ import annotations

import numpy as np
from sklearn.linear_model import Ridge

from medical_transfer.transferability.distances.permuted import Permuted, labelings, permuted
from medical_transfer.transferability.distances.two_domains import TwoDomains
from medical_transfer.transferability.evidence import Floats, Integers
from medical_transfer.transferability.linear_probe import standardised


def a_distance(domains: TwoDomains, permutations: int) -> Permuted:
    """2 (1 - 2 error) of a linear classifier: trained on one half of the groups, judged on the other, and in turn.

    The error is the mean of the errors on source and target images, over both halves: domains may differ in size. It
    may exceed one half, so that the value may be below 0.

    Departures: for a support vector machine, least squares with an L2 penalty of D on standardised features and a
    threshold half-way between the training means. The halves are fixed, so one factorisation of the features serves all
    permutations. On the same halves it, a balanced logistic regression and a linear SVM gave 1.99, 1.99, 1.99 for two
    sets of chest films; 1.69, 1.71, 1.63 for the classes within the one; 1.05 each for those within the other. Labels
    are permuted within each half, which keeps the halves as balanced as the true ones are.

    Cost: two factorisations of min(N, D)^3 and O(P D B). With P = 2000, D = 1280, B = 999: 2 s on one core.
    """
    features_PD, groups_P = domains.centred(), domains.groups
    rng = np.random.default_rng(domains.seed)
    half_G = _halves(domains.is_source, rng)
    labels_AP = labelings(domains.is_source, permutations, rng, strata_G=half_G)[:, groups_P]
    called_PA = np.zeros((len(groups_P), len(labels_AP)), dtype=bool)
    for half in (0, 1):
        train_P, test_P = half_G[groups_P] != half, half_G[groups_P] == half
        called_PA[test_P] = _decide(features_PD[train_P], labels_AP[:, train_P].T, features_PD[test_P])
    return permuted(2 * (1 - 2 * _balanced_error(called_PA, labels_AP.T)))


def _halves(is_source_G: np.ndarray, rng: np.random.Generator) -> Integers:
    """0 or 1 for each group; each half has half the groups of either domain, the first one more where they are odd."""
    half_G = np.zeros(len(is_source_G), dtype=np.int64)
    for mine in (np.flatnonzero(is_source_G), np.flatnonzero(~is_source_G)):
        half_G[rng.permutation(mine)[: len(mine) // 2]] = 1
    return half_G


def _decide(train_ND: Floats, source_NA: np.ndarray, test_MD: Floats) -> np.ndarray:
    """Whether each test image (M, A) is taken for one of the source, under each column of training labels."""
    learned_ND, judged_MD = standardised(train_ND, test_MD)
    model = Ridge(alpha=train_ND.shape[1], solver="cholesky").fit(learned_ND, 2.0 * source_NA - 1)
    fitted_NA, found_MA = (model.predict(rows).reshape(len(rows), -1) for rows in (learned_ND, judged_MD))
    means = [_mean_of(fitted_NA, chosen_NA) for chosen_NA in (source_NA, ~source_NA)]
    called_MA: np.ndarray = found_MA > (means[0] + means[1]) / 2
    return called_MA


def _mean_of(values_NA: Floats, chosen_NA: np.ndarray) -> Floats:
    means_A: Floats = (values_NA * chosen_NA).sum(axis=0) / chosen_NA.sum(axis=0)
    return means_A


def _balanced_error(called_PA: np.ndarray, source_PA: np.ndarray) -> Floats:
    """Mean of the share of source images taken for target ones, and the reverse."""
    wrong_PA = (called_PA != source_PA).astype(np.float64)
    return (_mean_of(wrong_PA, source_PA) + _mean_of(wrong_PA, ~source_PA)) / 2
