"""Grad-CAM against its equations by hand in float64, and which networks it is possible for."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest
import torch
from torch import nn

from medical_transfer.evaluation.explanations.grad_cam import Opened, grad_cam
from medical_transfer.evaluation.explanations.score import LogOdds, log_odds
from medical_transfer.models.classifier import Classifier
from medical_transfer.models.preprocessing import Preprocessing
from medical_transfer.models.trunk import WholeTrunk
from medical_transfer.types import DoesNotApplyError
from toy import SIZE, classifier, pixels


class TinyNet(nn.Module):
    """Maps A_k by a convolution, and scores sum_k w_ck mean(A_k^2)."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(3)
        self.convolution = nn.Conv2d(3, 4, 3).double()
        self.weights_CK = torch.randn(2, 4, dtype=torch.float64)

    def forward(self, images):
        return self.convolution(images).square().mean(dim=(2, 3)) @ self.weights_CK.T


def test_a_map_is_the_rectified_sum_of_maps_weighted_by_mean_gradients() -> None:
    network, images = TinyNet(), torch.randn(3, 3, 9, 9, dtype=torch.float64)
    targets_N = torch.tensor([0, 1, 1])
    found_Ngg = grad_cam(network, network.convolution, images, targets_N)
    activation_NKgg = network.convolution(images).detach().numpy()
    weights_NK = network.weights_CK.numpy()[targets_N]
    places = 7 * 7
    # d/dA of w mean(A^2) is 2 w A / places; alpha is its mean over places (equation 1)
    alpha_NK = 2 * weights_NK * activation_NKgg.mean(axis=(2, 3)) / places
    expected = np.maximum((alpha_NK[:, :, None, None] * activation_NKgg).sum(axis=1), 0)  # equation 2
    assert (expected == 0).any()
    assert (expected > 0).any()
    np.testing.assert_allclose(found_Ngg, expected, rtol=1e-10, atol=1e-15)


def test_log_odds_are_those_of_the_softmax() -> None:
    logits_NC = torch.tensor([[1.0, -2.0, 0.5], [300.0, 0.0, -300.0]], dtype=torch.float64)
    probability = logits_NC.softmax(dim=1)
    torch.testing.assert_close(log_odds(logits_NC)[0], (probability / (1 - probability)).log()[0])
    torch.testing.assert_close(log_odds(logits_NC + 7), log_odds(logits_NC))
    assert log_odds(logits_NC)[1].tolist() == pytest.approx([300, -300, -600])


def test_an_opened_classifier_is_the_classifier() -> None:
    network = classifier().eval()
    images = torch.from_numpy(pixels(5)[0]).movedim(-1, 1).float() / 255
    opened = Opened(network, SIZE)
    torch.testing.assert_close(opened(images), network(images))
    assert grad_cam(LogOdds(opened), opened.map, images, torch.zeros(5, dtype=torch.long)).shape == (5, 4, 4)


def test_of_a_pooled_map_and_a_linear_head_it_is_the_map_seen_by_that_head() -> None:
    """A ResNet pools its last map, so alpha_k is w_k / (std_k places), with w the difference of the head's rows."""
    network = classifier().eval()
    images = torch.from_numpy(pixels(4)[0]).movedim(-1, 1).float() / 255
    opened = Opened(network, SIZE)
    found = grad_cam(LogOdds(opened), opened.map, images, torch.ones(4, dtype=torch.long))
    caught: list[torch.Tensor] = []
    hook = opened.map.register_forward_hook(lambda *seen: caught.append(seen[2].detach()))
    opened(images)
    hook.remove()
    linear = next(module for module in network.head if isinstance(module, nn.Linear))
    weights_K = ((linear.weight[1] - linear.weight[0]) / network.standardise.std).detach()
    expected = torch.einsum("k,nkhw->nhw", weights_K, caught[0]).div(16).clamp(min=0)
    np.testing.assert_allclose(found, expected.numpy(), rtol=1e-3, atol=1e-6)


class Sealed(WholeTrunk):
    nature = "exists only as a graph"

    @property
    def stage_names(self):
        return ("graph",)

    @property
    def feature_dim(self) -> int:
        return 3

    def stage_size(self, index: int) -> int:
        return index

    def see(self, images):
        return images.mean(dim=(2, 3))


def test_a_graph_has_no_grad_cam_and_the_reason_is_told() -> None:
    sealed = Classifier(Sealed("onnx"), nn.Sequential(nn.Linear(3, 2)), Preprocessing())
    with pytest.raises(DoesNotApplyError, match="exists only as a graph, so no gradient"):
        Opened(sealed, SIZE)


@pytest.mark.parametrize(
    ("plan", "reason"),
    [
        (SimpleNamespace(cuttable=False), "runs only as a whole"),
        (
            SimpleNamespace(cuttable=True, stages=[SimpleNamespace(parts=["flatten()"])]),
            "no layer of the model's trunk",
        ),
    ],
)
def test_a_network_without_a_map_on_its_way_is_told(plan: SimpleNamespace, reason: str) -> None:
    network = classifier().eval()
    network.trunk.plan = plan
    with pytest.raises(DoesNotApplyError, match=reason):
        Opened(network, SIZE)
