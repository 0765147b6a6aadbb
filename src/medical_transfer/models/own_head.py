"""A source's own last part: what it says of an image in the classes that it was trained on, as LEEP needs it.

A network is divided into its trunk, which gives features, and this part. Most heads read the features. SqueezeNet's
reads the map before the pooling, because a ReLU stands between its convolution and the pooling. Each division is
checked on numbers with the source's own weights; where it does not give what the whole network gives (distilled
transformers have two heads), the source has no probabilities, and the reason is told.
Shapes: images (N, 3, S, S), features (N, D), logits and probabilities (N, K).
"""

from __future__ import annotations

from pathlib import Path
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from medical_transfer.config.backbones import Backbones
from medical_transfer.models.architectures import behead, last_linear, native_size
from medical_transfer.models.backbones import build_network, build_trunk
from medical_transfer.models.classifier import Normalise
from medical_transfer.models.preprocessing import Preprocessing
from medical_transfer.models.source import Fused, Source
from medical_transfer.models.stages import Trunk
from medical_transfer.models.trunk import AnyTrunk
from medical_transfer.models.weights import Graph, Untrained

MOST_CLASSES = 1000
"""K is at most so many: N x 21,841 probabilities of an ImageNet-21k head would weigh ten times the features."""


class OwnHead(nn.Module):
    """The last part of a pretrained network: features (N, D), or maps (N, D, H, W), to logits (N, K)."""

    def __init__(self, layer: nn.Module, *, reads_maps: bool) -> None:
        super().__init__()
        self.layer, self.reads_maps = layer, reads_maps

    def forward(self, activation: Tensor) -> Tensor:
        """Logits (N, K); a convolution of one pixel reads features as maps of one pixel."""
        if isinstance(self.layer, nn.Conv2d):
            activation = activation[:, :, None, None]
        logits: Tensor = self.layer(activation)
        return logits.flatten(1)


class Division(NamedTuple):
    """A trunk and the source's own head, or None and the reason."""

    trunk: AnyTrunk
    head: OwnHead | None
    why_none: str | None


class SeeingNetwork(nn.Module):
    """Images (N, 3, S, S) in [0, 1] to features (N, D), and with an own head to (features, probabilities (N, K))."""

    def __init__(self, preprocessing: Preprocessing, trunk: AnyTrunk, head: OwnHead | None) -> None:
        super().__init__()
        self.normalise, self.trunk, self.head = Normalise(preprocessing), trunk, head

    def forward(self, images: Tensor) -> Tensor | tuple[Tensor, Tensor]:
        """One pass: the head's cost comes on top of the trunk's, which is not run twice."""
        normalised = self.normalise(images)
        if self.head is None:
            features: Tensor = self.trunk(normalised)
            return features
        if self.head.reads_maps:
            features, logits = _through_maps(self.trunk.network, self.head, normalised)
        else:
            features = self.trunk(normalised)
            logits = self.head(features)
        return features, logits.softmax(dim=1)


def divide(source: Source, *, backbones: Backbones, packages_folder: Path) -> Division:
    """Build a source, in eval mode, as a trunk and its own head.

    Raises:
        UserError: where the weights are missing, damaged or do not fit.
    """
    where: dict[str, Any] = {"backbones": backbones, "packages_folder": packages_folder}
    if (reason := why_no_head(source)) is not None:
        return Division(build_trunk(source, **where), None, reason)
    network = build_network(source, **where).eval()
    side = native_size(source.architecture)
    images = torch.rand(2, 3, side, side, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        expected = network(images)
        head = _last_part(network)
        headless = behead(network).eval()
        found = None if head is None else _logits(headless, head, images)
    trunk = Trunk(source.architecture, headless).eval()
    if found is None or found.shape != expected.shape or not torch.allclose(found, expected, rtol=1e-4, atol=1e-5):
        return Division(trunk, None, f"no last layer of {source.architecture} follows on its features alone")
    return Division(trunk, head, None)


def why_no_head(source: Source) -> str | None:
    """Why a source has no probabilities, where its entry alone tells; else None."""
    if isinstance(source.weights, Graph):
        return "it exists only as a graph, which gives features"
    if isinstance(source.weights, Fused):
        return Fused.no_head
    if isinstance(source.weights, Untrained):
        return "it is not trained"
    if not source.weights.has_head or source.classes == 0:
        return "its file ends before the last layer"
    if source.classes > MOST_CLASSES:
        return f"its own head has {source.classes} classes, more than the {MOST_CLASSES} that are kept"
    return None


def _last_part(network: nn.Module) -> OwnHead | None:
    """The part that `behead` takes off, before it does."""
    get_classifier: Any = getattr(network, "get_classifier", None)
    if get_classifier is not None:  # every network of timm
        layer = get_classifier()
        return OwnHead(layer, reads_maps=False) if isinstance(layer, nn.Module) else None
    name = last_linear(network)
    if name is not None:
        return OwnHead(network.get_submodule(name), reads_maps=False)
    return OwnHead(network.get_submodule("classifier"), reads_maps=True)  # SqueezeNet: see behead


def _logits(headless: nn.Module, head: OwnHead, images: Tensor) -> Tensor | None:
    try:
        return _through_maps(headless, head, images)[1] if head.reads_maps else head(headless(images))
    except RuntimeError:  # shapes: the head does not follow on the features
        return None


def _through_maps(headless: Any, head: OwnHead, normalised: Tensor) -> tuple[Tensor, Tensor]:
    """Features and logits of a beheaded SqueezeNet, whose `classifier` is nothing but the pooling."""
    maps = headless.features(normalised)
    return headless.classifier(maps).flatten(1), head(maps)
