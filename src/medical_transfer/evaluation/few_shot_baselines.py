"""What a few images give without any meta-learning, on frozen features: the lines that others must beat.

Shapes: K images of a support set, class by class; Q queries; D features; C classes. All answer with logits (Q, C), of
features that were standardised beforehand.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import torch
from numpy.typing import NDArray
from sklearn.linear_model import LogisticRegression
from torch import Tensor, nn
from torch.nn import functional

from medical_transfer.layers.class_means import class_means
from medical_transfer.layers.fast_weights import adapted, run

HIDDEN, STEPS, RATE = 128, 50, 0.05
"""Of fine-tuning: units of its hidden layer, steps of gradient descent, and their rate."""

Head = tuple[Tensor, Tensor]
"""Weights (C, D) and biases (C,) of a linear layer."""


def nearest_centroid(support_KD: Tensor, labels_K: Tensor, *, ways: int) -> Head:  # noqa: ARG001 - as its neighbour
    """The nearest mean as a linear layer: -|x - m_c|^2 / 2D is m_c x / D - |m_c|^2 / 2D, but for what all share."""
    means_CD = class_means(support_KD, ways=ways)
    dim = support_KD.shape[1]
    return means_CD / dim, -means_CD.square().sum(dim=1) / (2 * dim)


def linear_probe(support_KD: Tensor, labels_K: Tensor, *, ways: int) -> Head:
    """Logistic regression with scikit-learn's default ridge penalty.

    The penalty keeps the weights in the span of the support, so that the fit is done there, in K numbers an image.
    """
    basis_DK, coordinates_KK = np.linalg.qr(support_KD.cpu().double().numpy().T)
    fitted = LogisticRegression(max_iter=1000).fit(coordinates_KK.T, labels_K.cpu().numpy())
    weights_CK, biases_C = _both_classes(fitted.coef_, fitted.intercept_, ways=ways)
    weights_CD = torch.from_numpy(weights_CK @ basis_DK.T)
    return weights_CD.to(support_KD), torch.from_numpy(biases_C).to(support_KD)


def fine_tuned(support_KD: Tensor, labels_K: Tensor, query_QD: Tensor, *, ways: int) -> Tensor:
    """A hidden layer and a linear one, from fixed random first weights, by gradient descent on the support."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        network = nn.Sequential(nn.Linear(support_KD.shape[1], HIDDEN), nn.ReLU(), nn.Linear(HIDDEN, ways))
    network = network.to(support_KD)

    def loss(weights: dict[str, Tensor]) -> Tensor:
        return functional.cross_entropy(run(network, weights, support_KD), labels_K)

    first = {name: parameter.detach() for name, parameter in network.named_parameters()}
    return run(network, adapted(loss, first, steps=STEPS, learning_rate=RATE, first_order=True), query_QD)


def _both_classes(
    weights: NDArray[np.float64], biases: NDArray[np.float64], *, ways: int
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Scikit-learn has one row for two classes."""
    if ways > 2:
        return weights, biases
    return np.vstack([-weights, weights]) / 2, np.r_[-biases, biases] / 2


LINEAR: dict[str, Callable[..., Head]] = {"nearest_centroid": nearest_centroid, "linear_probe": linear_probe}
"""Baselines that are a linear layer, and so can be saved as any classifier."""


def answer(name: str, support_KD: Tensor, labels_K: Tensor, query_QD: Tensor, *, ways: int) -> Tensor:
    """Logits (Q, C) of a baseline: one of LINEAR, or `fine_tune`."""
    if name not in LINEAR:
        return fine_tuned(support_KD, labels_K, query_QD, ways=ways)
    weights_CD, biases_C = LINEAR[name](support_KD, labels_K, ways=ways)
    return functional.linear(query_QD, weights_CD, biases_C)


BASELINES = (*LINEAR, "fine_tune")
