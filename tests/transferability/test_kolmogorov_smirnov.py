"""The statistic is scipy's, its test holds its level, and groups move together."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import ks_2samp

from medical_transfer.transferability.distances import TwoDomains
from medical_transfer.transferability.distances.kolmogorov_smirnov import kolmogorov_smirnov


def domains(source: np.ndarray, target: np.ndarray, **groups) -> TwoDomains:
    return TwoDomains(source_ND=source, target_MD=target, seed=3, **groups)


@pytest.mark.parametrize("digits", [8, 0])
def test_of_one_feature_it_is_scipys_statistic_ties_included(digits: int) -> None:
    rng = np.random.default_rng(0)
    source, target = rng.normal(size=(40, 1)).round(digits), rng.normal(0.5, 2, size=(25, 1)).round(digits)
    found = kolmogorov_smirnov(domains(source, target), 99).value
    assert found == pytest.approx(ks_2samp(source[:, 0], target[:, 0]).statistic)


def test_of_several_it_is_the_largest_along_the_components() -> None:
    rng = np.random.default_rng(1)
    source, target = rng.normal(size=(60, 4)) * [4, 3, 2, 1], rng.normal(size=(50, 4)) * [4, 3, 2, 1] + [0, 0, 1, 0]
    pooled = np.concatenate([source, target])
    _, axes = np.linalg.eigh(np.cov(pooled.T))
    along = (pooled - pooled.mean(axis=0)) @ axes
    expected = max(ks_2samp(each[:60], each[60:]).statistic for each in along.T)
    assert kolmogorov_smirnov(domains(source, target), 99).value == pytest.approx(expected)


def test_a_shift_is_found_and_none_is_not() -> None:
    rng = np.random.default_rng(2)
    source, same = rng.normal(size=(60, 5)), rng.normal(size=(60, 5))
    assert kolmogorov_smirnov(domains(source, same + 1.0), 199).p_value == 1 / 200
    assert kolmogorov_smirnov(domains(source, same), 199).p_value > 0.05


def test_images_of_one_patient_count_once() -> None:
    """Ten copies of each of six images are no sixty images."""
    rng = np.random.default_rng(4)
    source, target = (np.repeat(rng.normal(size=(6, 3)), 10, axis=0) for _ in range(2))
    groups = np.repeat(np.arange(6), 10)
    found = kolmogorov_smirnov(domains(source, target, source_groups_N=groups, target_groups_M=groups), 199)
    assert found.p_value > 0.05
    assert kolmogorov_smirnov(domains(source, target), 199).p_value < 0.02
