"""Cross-entropy of the domain discriminator: source is class 0, target class 1.

Source: Ganin et al. 2016, "Domain-Adversarial Training of Neural Networks", section 4.2: the domain terms of the
objective are the mean over source images plus the mean over target images, so that each domain counts alike whatever
the sizes of its batch. Whose gradient is reversed is the layer's concern, not the loss's.
Shapes: N source and M target images.
"""

from __future__ import annotations

from typing import Literal

import torch
from torch import Tensor
from torch.nn import functional

from medical_transfer.losses.paired import paired

Halves = Literal["mean", "sum"]


def domain_confusion(source_logits_N2: Tensor, target_logits_M2: Tensor, *, halves: Halves = "mean") -> Tensor:
    """Scalar loss from both domains' logits; ln 2 where nothing tells them apart.

    Args:
        source_logits_N2: logits (N, 2) of source images.
        target_logits_M2: logits (M, 2) of target images.
        halves: `mean` of the two domains' means, or their `sum`, twice as large, as the paper and the chapter have it.

    Raises:
        UserError: a domain has no image.
    """
    source_N, target_M = domain_losses(source_logits_N2, target_logits_M2)
    return joined(source_N.mean(), target_M.mean(), halves)


def domain_losses(source_logits_N2: Tensor, target_logits_M2: Tensor) -> tuple[Tensor, Tensor]:
    """Cross-entropies (N,) and (M,) of single images.

    Raises:
        UserError: a domain has no image.
    """
    source_N2, target_M2 = paired(source_logits_N2, target_logits_M2, least=1)
    return _loss_of(source_N2, domain=0), _loss_of(target_M2, domain=1)


def joined(source: Tensor, target: Tensor, halves: Halves) -> Tensor:
    """Mean or sum of the two domains' losses."""
    return (source + target) / 2 if halves == "mean" else source + target


def _loss_of(logits_N2: Tensor, *, domain: int) -> Tensor:
    domain_N = torch.full((len(logits_N2),), domain, device=logits_N2.device)
    return functional.cross_entropy(logits_N2, domain_N, reduction="none")
