"""Maximum mean discrepancy between source and target features, as a loss: squared, so smooth at 0.

Sources: Gretton et al. 2012, "A Kernel Two-Sample Test"; Long et al. 2015, "Learning Transferable Features with Deep
Adaptation Networks" (DAN: several bandwidths at once); the chapter, 3.3.
Shapes: N source and M target images (N and M may differ), D features.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from medical_transfer.losses.gaussian_kernel import SCALES, gaussian_kernel, kernel_mmd2
from medical_transfer.losses.paired import paired

CHAPTER_BANDWIDTH = 2.0
"""2 sigma^2 of the chapter's kernel, sigma = 1. Literally the chapter: this, `scales=(1.0,)`, `biased=True`.

Its features are 256 rectified numbers whose distances are far above 1, so nearly all of its kernel is 0, its loss stays
near 1/N + 1/M and its gradient near nothing. Kept as a regression case.
"""


def mmd2(
    source_ND: Tensor,
    target_MD: Tensor,
    *,
    scales: Sequence[float] = SCALES,
    bandwidth: float | None = None,
    biased: bool = False,
) -> Tensor:
    """Squared MMD under a mean of Gaussian kernels exp(-|x - y|^2 / (scale bandwidth)).

    Args:
        source_ND: features of source images.
        target_MD: features of target images.
        scales: multiples of the bandwidth; one makes it a plain RBF kernel.
        bandwidth: in squared feature units; None takes the median squared distance of the pooled batch, detached.
        biased: all pairs, never negative (the chapter's form), in place of the unbiased U-statistic.

    Raises:
        UserError: fewer than two images of a domain (unbiased), or none (biased).
    """
    source_ND, target_MD = paired(source_ND, target_MD, least=1 if biased else 2)
    kernel_PP = gaussian_kernel(torch.cat([source_ND, target_MD]), scales=scales, bandwidth=bandwidth)
    return kernel_mmd2(kernel_PP, len(source_ND), biased=biased)


def linear_mmd2(source_ND: Tensor, target_MD: Tensor, *, biased: bool = False) -> Tensor:
    """Squared MMD under the kernel x.y, in O((N + M) D): it sees means and nothing else.

    Biased, the squared distance of the two means: the chapter's `linear`. Unbiased, the same less what chance
    alone gives: (sum of variances of source)/N + (sum of variances of target)/M, which is the U-statistic.

    Raises:
        UserError: fewer than two images of a domain (unbiased), or none (biased).
    """
    source_ND, target_MD = paired(source_ND, target_MD, least=1 if biased else 2)
    gap = (source_ND.mean(dim=0) - target_MD.mean(dim=0)).square().sum()
    if biased:
        return gap
    return gap - sum(rows.var(dim=0).sum() / len(rows) for rows in (source_ND, target_MD))
