"""DANN: a discriminator learns to tell the domains apart, and the network learns features with which it cannot.

Source: Ganin et al. 2016, "Domain-Adversarial Training of Neural Networks", section 4: one step for all, by reversing
the gradient between features and discriminator. The chapter, 3.2. Departures: any backbone in place of the paper's
nets, and the discriminator has a learning rate of its own, AdamW and no weight decay.
"""

from __future__ import annotations

from torch import nn

from medical_transfer.config import adaptation as config
from medical_transfer.layers.domain_discriminator import DomainDiscriminator
from medical_transfer.losses.domain_confusion import domain_confusion
from medical_transfer.methods.adaptation import Adaptation, Seen, strength_at
from medical_transfer.methods.contract import LossTerms


class Dann(Adaptation):
    """Fine-tuning against a discriminator that sees the aligned features."""

    own: config.Dann

    def opponent(self, seed: int) -> nn.Module:
        """The discriminator of domains."""
        return DomainDiscriminator(self.aligned_dim, seed=seed, hidden=self.own.hidden, dropout=self.own.dropout)

    def opponent_rate(self, network_rate: float) -> float:  # noqa: ARG002 - it has one of its own
        """Learning rate of the discriminator."""
        return self.own.learning_rate

    def domain_term(self, source: Seen, target: Seen, again: Seen | None, progress: float) -> LossTerms:  # noqa: ARG002 - one view
        """The discriminator's cross-entropy, reversed on its way into the features; ln 2 where it can tell nothing."""
        assert self.adversary is not None
        strength = strength_at(progress, self.own.reversal, self.own.schedule)
        loss = domain_confusion(*(self.adversary(each.features, strength) for each in (source, target)))
        return LossTerms(loss, {"domain": loss})
