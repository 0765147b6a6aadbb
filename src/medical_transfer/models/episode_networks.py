"""Small networks that learn from a few images: convolutions for pictures, one hidden layer for cached features.

Convolutions: Finn et al. 2017, section 5.2 (Omniglot): four blocks of 3 x 3 convolution with stride 2, norm and ReLU.
Departures: the head sees all of the last map instead of its mean (two pixels a side at 28 px); norms know the support
set alone (`layers.support_norm`), where the authors normalise queries among one another (transductive).
Shapes: N images of an episode, the support first; H features, C classes of an episode.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from medical_transfer.layers.support_norm import SupportNorm

BLOCKS = 4


class EpisodeNetwork(nn.Module):
    """An embedding and, for methods that learn one, a linear head over the classes of an episode."""

    head: nn.Linear | None
    together: bool = False
    """Whether tasks run faster side by side."""

    def embed(self, inputs: Tensor, support: int) -> Tensor:
        """Features (N, H) of images or feature rows, of which the first `support` are known."""
        raise NotImplementedError

    def forward(self, inputs: Tensor, support: int) -> Tensor:
        """Logits (N, C)."""
        assert self.head is not None
        logits: Tensor = self.head(self.embed(inputs, support))
        return logits


class Block(nn.Module):
    """Convolution that halves the picture, norm, ReLU."""

    def __init__(self, channels: int, width: int) -> None:
        super().__init__()
        self.convolution = nn.Conv2d(channels, width, 3, stride=2, padding=1)
        self.norm = SupportNorm(width)

    def forward(self, activation: Tensor, support: int) -> Tensor:
        """(N, D, S, S) to (N, width, S/2, S/2)."""
        return torch.relu(self.norm(self.convolution(activation), support))


class ConvNetwork(EpisodeNetwork):
    """Four blocks; images (N, 3, S, S) in [0, 1], of which the first channel is looked at (grey pictures)."""

    def __init__(self, *, size: int, width: int, ways: int | None, seed: int) -> None:
        super().__init__()
        side = -(-size // 2**BLOCKS)
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            self.blocks = nn.ModuleList(Block(width if number else 1, width) for number in range(BLOCKS))
            self.head = None if ways is None else nn.Linear(width * side**2, ways)

    def embed(self, inputs: Tensor, support: int) -> Tensor:
        """Features (N, width side^2): what is left of the picture, side = S / 16."""
        activation = inputs[:, :1]
        for block in self.blocks:
            activation = block(activation, support)
        return activation.flatten(1)


class FeatureNetwork(EpisodeNetwork):
    """Standardised features (N, D) of a frozen backbone, a linear layer with ReLU, and the head."""

    together = True
    mean: Tensor
    std: Tensor

    def __init__(self, *, mean_D: Tensor, std_D: Tensor, hidden: int, ways: int | None, seed: int) -> None:
        super().__init__()
        self.register_buffer("mean", mean_D.clone())
        self.register_buffer("std", std_D.clone())
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            self.layer = nn.Linear(len(mean_D), hidden)
            self.head = None if ways is None else nn.Linear(hidden, ways)

    def embed(self, inputs: Tensor, support: int) -> Tensor:  # noqa: ARG002 - no norm looks at other rows
        """Features (N, hidden)."""
        return torch.relu(self.layer((inputs - self.mean) / self.std))
