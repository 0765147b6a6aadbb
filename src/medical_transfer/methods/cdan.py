"""CDAN and CDAN+E: DANN whose discriminator sees features and predictions together.

Source: Long et al. 2018, "Conditional Adversarial Domain Adaptation", sections 3.2 and 3.3. With `entropy` (CDAN+E)
certain images count more. Departures: as for DANN; the strength rises over the phase by the steps done.
"""

from __future__ import annotations

from torch import Tensor, nn

from medical_transfer.config import adaptation as config
from medical_transfer.layers.domain_discriminator import DomainDiscriminator
from medical_transfer.layers.gradient_reversal import reverse_gradient
from medical_transfer.layers.multilinear_map import MultilinearMap
from medical_transfer.losses.cdan import conditional_domain_confusion, entropy_weights
from medical_transfer.losses.domain_confusion import domain_confusion
from medical_transfer.methods.adaptation import Adaptation, Seen, strength_at
from medical_transfer.methods.contract import LossTerms
from medical_transfer.runtime.seeds import derive_seed


class Conditional(nn.Module):
    """A discriminator of domains behind the map that joins features and predictions."""

    def __init__(self, joins: MultilinearMap, discriminator: DomainDiscriminator) -> None:
        super().__init__()
        self.joins, self.discriminator = joins, discriminator

    def forward(self, seen: Seen, strength: float) -> Tensor:
        """Domain logits (N, 2); the gradient is reversed on its way out of the discriminator."""
        joined: Tensor = self.joins(seen.features, seen.logits.softmax(dim=1))
        logits: Tensor = self.discriminator(joined, strength)
        return logits


class Cdan(Adaptation):
    """Fine-tuning against a discriminator that sees features and predictions together."""

    own: config.Cdan

    def opponent(self, seed: int) -> nn.Module:
        """The discriminator with its map."""
        seed_of_map = derive_seed(seed, "map")
        joins = MultilinearMap(self.aligned_dim, self.classifier.classes, seed=seed_of_map)
        return Conditional(
            joins, DomainDiscriminator(joins.dim, seed=seed, hidden=self.own.hidden, dropout=self.own.dropout)
        )

    def opponent_rate(self, network_rate: float) -> float:  # noqa: ARG002 - it has one of its own
        """Learning rate of the discriminator."""
        return self.own.learning_rate

    def domain_term(self, source: Seen, target: Seen, again: Seen | None, progress: float) -> LossTerms:  # noqa: ARG002 - one view
        """The discriminator's cross-entropy, of weighted images where `entropy`."""
        assert self.adversary is not None
        strength = strength_at(progress, self.own.reversal, self.own.schedule)
        domains = [self.adversary(each, strength) for each in (source, target)]
        if not self.own.entropy:
            loss = domain_confusion(*domains)
            return LossTerms(loss, {"domain": loss})
        weights = [entropy_weights(reverse_gradient(each.logits, strength)) for each in (source, target)]
        loss = conditional_domain_confusion(*domains, source_weights_N=weights[0], target_weights_M=weights[1])
        return LossTerms(loss, {"domain": loss})
