"""CORAL in closed form: equal covariances without a ridge, and the paper's formula by scipy's matrix powers."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from scipy.linalg import fractional_matrix_power

from medical_transfer.layers.correlation_alignment import recolouring


def features(n: int, seed: int, dims: int = 5) -> torch.Tensor:
    rng = np.random.default_rng(seed)
    return torch.from_numpy(rng.normal(size=(n, dims)) @ rng.normal(size=(dims, dims)))


def test_covariances_become_equal() -> None:
    source_ND, target_MD = features(60, 0), features(40, 1)
    aligned_ND = source_ND @ recolouring(source_ND, target_MD, ridge=0.0)
    torch.testing.assert_close(torch.cov(aligned_ND.T), torch.cov(target_MD.T), rtol=1e-8, atol=1e-8)


@pytest.mark.parametrize("ridge", [0.1, 1.0])
def test_it_is_algorithm_1(ridge: float) -> None:
    source_ND, target_MD = features(60, 2), features(3, 3)  # the target has fewer images than features
    covariances = [np.cov(each.numpy().T) + ridge * np.eye(5) for each in (source_ND, target_MD)]
    expected = fractional_matrix_power(covariances[0], -0.5) @ fractional_matrix_power(covariances[1], 0.5)
    np.testing.assert_allclose(recolouring(source_ND, target_MD, ridge=ridge).numpy(), expected, rtol=1e-7, atol=1e-9)


def test_equal_domains_stay_as_they_are() -> None:
    source_ND = features(30, 4)
    torch.testing.assert_close(recolouring(source_ND, source_ND), torch.eye(5, dtype=torch.float64))


def test_single_precision_is_computed_in_double() -> None:
    source_ND, target_MD = features(30, 5), features(30, 6)
    found = recolouring(source_ND.float(), target_MD.float())
    assert found.dtype == torch.float64
    torch.testing.assert_close(found, recolouring(source_ND, target_MD), rtol=1e-4, atol=1e-4)
