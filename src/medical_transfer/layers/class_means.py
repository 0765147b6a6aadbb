"""Classifiers that are known as soon as a support set is: the mean of a class is its weight.

Sources: Snell et al. 2017, eq. 2 (nearest mean); Qi, Brown & Lowe 2018, "Low-Shot Learning with Imprinted Weights",
section 3 (cosine to the mean direction). Departure from the latter: features are first centred at the mean of the
support, since those of a trunk with ReLUs all point the same way.
Shapes: K images of the support, class by class; Q queries; H features; C classes.
"""

from __future__ import annotations

from torch import Tensor
from torch.nn import functional

SCALE = 10.0
"""Logits of imprinted weights lie between minus and plus this."""


def class_means(support_KH: Tensor, *, ways: int) -> Tensor:
    """Means (C, H) of the classes of a support set that has the same number of each, one class after the other."""
    return support_KH.reshape(ways, -1, *support_KH.shape[1:]).mean(dim=1)


def nearest_mean(support_KH: Tensor, query_QH: Tensor, *, ways: int) -> Tensor:
    """Minus the squared distance of each query to each mean, (Q, C)."""
    means_CH = class_means(support_KH, ways=ways)
    return -(query_QH.unsqueeze(1) - means_CH.unsqueeze(0)).square().sum(dim=2)


def imprinted(support_KH: Tensor, query_QH: Tensor, *, ways: int) -> Tensor:
    """SCALE times the cosine of each query to the mean direction of each class, (Q, C)."""
    centre_H = support_KH.mean(dim=0)
    known_KH, asked_QH = (functional.normalize(each - centre_H, dim=1) for each in (support_KH, query_QH))
    weights_CH = functional.normalize(class_means(known_KH, ways=ways), dim=1)
    return SCALE * asked_QH @ weights_CH.T
