"""Gaussian kernels between all rows of two batches laid on top of each other, and the discrepancy that they give.

k(x, y) = mean over scales s of exp(-|x - y|^2 / (s b)), with one bandwidth b. The chapter's kernel
exp(-|x - y|^2 / (2 sigma^2)) has b = 2 sigma^2 and the one scale 1.
Shapes: P = N + M rows, the N source rows first; D features.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from medical_transfer.losses.paired import product

SCALES = (0.25, 0.5, 1.0, 2.0, 4.0)
"""Multiples of the bandwidth: two octaves to either side."""


def gaussian_kernel(rows_PD: Tensor, *, scales: Sequence[float] = SCALES, bandwidth: float | None = None) -> Tensor:
    """Kernel matrix (P, P); without a bandwidth, the median squared distance of the rows, see `median_bandwidth`.

    Departure from Long et al. 2015 (DAN): equal weights of the scales, where DAN learns them by a quadratic programme.
    """
    distances_PP = squared_distances(rows_PD)
    b = median_bandwidth(rows_PD, distances_PP) if bandwidth is None else bandwidth
    return torch.stack([(-distances_PP / (scale * b)).exp() for scale in scales]).mean(dim=0)


def squared_distances(rows_PD: Tensor) -> Tensor:
    """Squared Euclidean distances (P, P) as |x|^2 + |y|^2 - 2 x.y: no tensor of (P, P, D).

    Rows are centred first, which changes no distance and keeps small ones from drowning in a common offset.
    """
    centred_PD = rows_PD - rows_PD.detach().mean(dim=0)
    squares_P = centred_PD.square().sum(dim=1)
    return (squares_P[:, None] + squares_P[None, :] - 2 * product(centred_PD, centred_PD.T)).clamp_min(0)


def median_bandwidth(rows_PD: Tensor, distances_PP: Tensor) -> Tensor:
    """Median squared distance of distinct rows of both batches (the lower of two middle ones), detached.

    Source: Gretton et al. 2012, "A Kernel Two-Sample Test", section 8. Detached, so a change of units is no way to
    lower the loss. It has a floor at the rounding of the rows: rows that are all equal give a kernel of 1 and no
    gradient.
    """
    others_PP = ~torch.eye(len(rows_PD), dtype=torch.bool, device=rows_PD.device)
    median = distances_PP.detach()[others_PP].median()
    limits = torch.finfo(rows_PD.dtype)
    return torch.maximum(median, limits.eps * rows_PD.detach().square().sum(dim=1).mean()).clamp_min(limits.tiny)


def kernel_mmd2(kernel_PP: Tensor, sources: int, *, biased: bool) -> Tensor:
    """Squared maximum mean discrepancy from a kernel matrix whose first `sources` rows are the source's.

    Unbiased: Gretton et al. 2012, eq. 3, a U-statistic that leaves out each row's kernel with itself (0 in expectation
    for equal distributions, so it may be negative). Biased: eq. 5 squared, all pairs, never negative.
    """
    within_source = _mean_of_pairs(kernel_PP[:sources, :sources], biased=biased)
    within_target = _mean_of_pairs(kernel_PP[sources:, sources:], biased=biased)
    return within_source + within_target - 2 * kernel_PP[:sources, sources:].mean()


def _mean_of_pairs(kernel_NN: Tensor, *, biased: bool) -> Tensor:
    if biased:
        return kernel_NN.mean()
    n = len(kernel_NN)
    return (kernel_NN.sum() - kernel_NN.diagonal().sum()) / (n * (n - 1))
