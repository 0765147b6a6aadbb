"""The small network that tells the two domains apart, with the reversal that makes the trunk work against it."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from medical_transfer.layers.gradient_reversal import reverse_gradient

HIDDEN = 256
"""The chapter's width."""


class DomainDiscriminator(nn.Module):
    """Features (N, D) to two logits (N, 2), source and target: D -> 256 -> 2 with ReLU and dropout between.

    The chapter's `domain_classifier` (3.2) with D for its 1024. The reversal is inside, so it cannot be forgotten; it
    scales only what goes back to the features, never the discriminator's own gradient. Logits, not probabilities: a
    softmax here would be applied twice by the cross-entropy.

    Attributes:
        layers: the discriminator without the reversal.
    """

    def __init__(self, feature_dim: int, *, seed: int, hidden: int = HIDDEN, dropout: float = 0.5) -> None:
        """Initial weights come from `seed` alone; torch's global random numbers stay where they were."""
        super().__init__()
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            self.layers = nn.Sequential(
                nn.Linear(feature_dim, hidden), nn.ReLU(), nn.Dropout(dropout), nn.Linear(hidden, 2)
            )

    def forward(self, features_ND: Tensor, strength: float) -> Tensor:
        """Domain logits (N, 2); features get minus `strength` times their gradient."""
        logits_N2: Tensor = self.layers(reverse_gradient(features_ND, strength))
        return logits_N2
