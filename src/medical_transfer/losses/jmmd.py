"""Joint MMD: the discrepancy of several layers' activations together, as the product of their kernels.

Source: Long et al. 2017, "Deep Transfer Learning with Joint Adaptation Networks", the empirical JMMD: MMD^2 with
k(i, j) = product over layers of k_layer(i, j). Aligning features and predictions each for itself would leave their
dependence as it is.
Shapes: N source and M target images; the widths of layers differ.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from medical_transfer.losses.gaussian_kernel import SCALES, gaussian_kernel, kernel_mmd2
from medical_transfer.losses.paired import paired


def jmmd2(
    source_layers: Sequence[Tensor],
    target_layers: Sequence[Tensor],
    *,
    scales: Sequence[float] = SCALES,
    bandwidths: Sequence[float | None] | None = None,
    biased: bool = False,
) -> Tensor:
    """Squared joint MMD of layers (N, D_l) and (M, D_l): all of the same images, in the same order.

    Args:
        source_layers: activations of source images, one matrix a layer (features and class probabilities in the paper).
        target_layers: those of target images, the same layers.
        scales: multiples of each layer's bandwidth, see `gaussian_kernel`.
        bandwidths: one a layer; None stands for the layer's own median squared distance.
        biased: the paper's form, all pairs; the default is the unbiased U-statistic, a departure.

    Raises:
        UserError: fewer than two images of a domain (unbiased), or none (biased).
        ValueError: numbers of layers or of their rows that don't match.
    """
    bandwidths = [None] * len(source_layers) if bandwidths is None else bandwidths
    if not source_layers:
        raise ValueError("a joint discrepancy needs a layer")
    joint_PP: Tensor | None = None
    for source, target, bandwidth in zip(source_layers, target_layers, bandwidths, strict=True):
        rows_PD = torch.cat(paired(source, target, least=1 if biased else 2))
        kernel_PP = gaussian_kernel(rows_PD, scales=scales, bandwidth=bandwidth)
        joint_PP = kernel_PP if joint_PP is None else joint_PP * kernel_PP
    assert joint_PP is not None
    return kernel_mmd2(joint_PP, len(source_layers[0]), biased=biased)
