"""The whole model: normalisation, trunk, head. What it expects of its images travels inside it.

Shapes: images (N, 3, S, S), float, RGB, in [0, 1]; features (N, D); logits (N, C).
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from medical_transfer.models.heads import build_head, halves
from medical_transfer.models.preprocessing import Preprocessing
from medical_transfer.models.trunk import AnyTrunk

BLOCK = 4096
"""Rows of features that are looked at together."""


class Normalise(nn.Module):
    """RGB pixels in [0, 1] to what a source expects: its channel order, minus its mean, divided by its std."""

    mean: Tensor
    std: Tensor

    def __init__(self, preprocessing: Preprocessing) -> None:
        super().__init__()
        self.reverses_channels = preprocessing.channels == "BGR"
        self.register_buffer("mean", torch.tensor(preprocessing.mean).view(1, 3, 1, 1))
        self.register_buffer("std", torch.tensor(preprocessing.std).view(1, 3, 1, 1))

    def forward(self, images: Tensor) -> Tensor:
        """Normalised images of the same shape."""
        ordered = images.flip(1) if self.reverses_channels else images
        return (ordered - self.mean) / self.std


class Standardise(nn.Module):
    """Features to mean 0 and standard deviation 1 on the images that it was fitted to; the identity until then.

    It makes a head's learning rate and its ridge fit any trunk, whatever the size of its features. A feature that
    varies less than the median one is divided by the median's deviation instead of its own: a unit that is silent on
    almost all images carries noise, and would be blown up until it drowns the rest. Nothing of it learns.

    Where several networks' features stand side by side, each network has its own median: the one with the smaller
    features would else be pressed down as a whole.

    Args:
        widths: D of each network, in the order of the features.
    """

    mean: Tensor
    std: Tensor

    def __init__(self, *widths: int) -> None:
        super().__init__()
        self.widths = widths
        self.register_buffer("mean", torch.zeros(sum(widths)))
        self.register_buffer("std", torch.ones(sum(widths)))

    def fit(self, features_ND: Tensor) -> None:
        """Take means and standard deviations from features; where most are constant, those keep their size."""
        blocks = torch.split(features_ND, BLOCK)  # in double, so never all at once
        mean = torch.stack([block.double().sum(dim=0) for block in blocks]).sum(dim=0) / len(features_ND)
        squares = torch.stack([(block.double() - mean).square().sum(dim=0) for block in blocks]).sum(dim=0)
        std = (squares / len(features_ND)).sqrt()
        floored = torch.cat([own.clamp(min=float(own.quantile(0.5))) for own in torch.split(std, list(self.widths))])
        self.mean.copy_(mean)
        self.std.copy_(torch.where(floored > 1e-6, floored, torch.ones_like(std)))

    def forward(self, features_ND: Tensor) -> Tensor:
        """Standardised features of the same shape."""
        return (features_ND - self.mean) / self.std


class Classifier(nn.Module):
    """A trunk with a head of its own, and features of one scale between them; its last stage is the head."""

    def __init__(self, trunk: AnyTrunk, head: nn.Module, preprocessing: Preprocessing) -> None:
        super().__init__()
        self.normalise = Normalise(preprocessing)
        self.trunk = trunk
        self.standardise = Standardise(*trunk.feature_widths)
        self.head = head

    def forward(self, images: Tensor) -> Tensor:
        """Logits (N, C) of images."""
        logits: Tensor = self.head(self.standardise(self.features(images)))
        return logits

    def features(self, images: Tensor) -> Tensor:
        """Features (N, D) of images."""
        features: Tensor = self.trunk(self.normalise(images))
        return features

    def forward_from(self, activation: Tensor, cut: int) -> Tensor:
        """Logits (N, C) from the activation before stage `cut`."""
        logits: Tensor = self.head(self.standardise(self.trunk.forward_from(activation, cut)))
        return logits

    def embed(self, inputs: Tensor, cut: int) -> Tensor:
        """What the last layer sees (N, H), of activations before stage `cut`, or of images where that is 0."""
        embedded: Tensor = self.halves[0](self.seen_by_head(inputs, cut))
        return embedded

    def seen_by_head(self, inputs: Tensor, cut: int) -> Tensor:
        """What the head sees (N, D), of activations before stage `cut`, or of images where that is 0."""
        features = self.features(inputs) if cut == 0 else self.trunk.forward_from(inputs, cut)
        seen: Tensor = self.standardise(features)
        return seen

    def classify(self, embedded_NH: Tensor) -> Tensor:
        """Logits (N, C) of what `embed` gives."""
        logits: Tensor = self.halves[1](embedded_NH)
        return logits

    @property
    def embedded_dim(self) -> int:
        """H, how many numbers the last layer sees."""
        return self._last_layer.in_features

    @property
    def classes(self) -> int:
        """C, how many numbers it gives."""
        return self._last_layer.out_features

    @property
    def _last_layer(self) -> nn.Linear:
        return next(module for module in self.halves[1] if isinstance(module, nn.Linear))

    @property
    def halves(self) -> tuple[nn.Sequential, nn.Sequential]:
        """The head before its last layer, and that layer; see `medical_transfer.models.heads.halves`."""
        assert isinstance(self.head, nn.Sequential)
        return halves(self.head)


def build_classifier(
    trunk: AnyTrunk, preprocessing: Preprocessing, *, head: str, dropout: float, classes: int, seed: int
) -> Classifier:
    """Put a new head on a trunk; only the head's initial weights are random, from `seed`."""
    new_head = build_head(head, feature_dim=trunk.feature_dim, classes=classes, dropout=dropout, seed=seed)
    return Classifier(trunk, new_head, preprocessing)
