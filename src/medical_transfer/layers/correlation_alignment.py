"""CORAL in closed form: source features whitened, then given the target's covariance.

Source: Sun, Feng and Saenko 2016, "Return of Frustratingly Easy Domain Adaptation", algorithm 1.
Shapes: N source and M target images, D features that have mean 0 in each domain (the paper standardises them).
"""

from __future__ import annotations

import torch
from torch import Tensor


def recolouring(source_ND: Tensor, target_MD: Tensor, *, ridge: float = 1.0) -> Tensor:
    """The matrix A (D, D), in double, such that `source_ND @ A` has about the target's covariance.

    A = C_S^(-1/2) C_T^(1/2) with C = covariance + ridge I. The paper's ridge is 1, which keeps few images of many
    features invertible; as it goes to 0 the covariances become equal.
    """
    return _power(_covariance(source_ND, ridge), -0.5) @ _power(_covariance(target_MD, ridge), 0.5)


def _covariance(features_ND: Tensor, ridge: float) -> Tensor:
    features_ND = features_ND.double()
    centred_ND = features_ND - features_ND.mean(dim=0)
    covariance_DD = centred_ND.T @ centred_ND / (len(features_ND) - 1)
    return covariance_DD + ridge * torch.eye(features_ND.shape[1], dtype=torch.float64)


def _power(symmetric_DD: Tensor, exponent: float) -> Tensor:
    values_D, vectors_DD = torch.linalg.eigh(symmetric_DD)
    powers_D = values_D.clamp(min=torch.finfo(torch.float64).tiny).pow(exponent)
    power_DD: Tensor = (vectors_DD * powers_D) @ vectors_DD.T
    return power_DD
