"""DANN with pseudo-labels: features that hide the domain, and the network's confident answers on the target as labels.

Sources: Ganin et al. 2016 (`dann.py`) and Sohn et al. 2020, FixMatch (`losses/pseudo_labels.py`). Aligned features make
the first answers good enough to be learned from; answers then pull each class to its own place, which aligned features
alone need not. Departures: as for the two; the discriminator sees the target as it is, the augmented view has the
pseudo-labels alone.
"""

from __future__ import annotations

from typing import ClassVar

from torch import nn

from medical_transfer.config import adaptation as config
from medical_transfer.layers.domain_discriminator import DomainDiscriminator
from medical_transfer.losses.domain_confusion import domain_confusion
from medical_transfer.losses.pseudo_labels import confident, fixmatch
from medical_transfer.methods.adaptation import Adaptation, Seen, strength_at
from medical_transfer.methods.contract import LossTerms


class DannSelfTraining(Adaptation):
    """Fine-tuning against a discriminator, with confident answers as labels."""

    own: config.DannSelfTraining

    twice: ClassVar[bool] = True

    def opponent(self, seed: int) -> nn.Module:
        """The discriminator of domains."""
        return DomainDiscriminator(self.aligned_dim, seed=seed, hidden=self.own.hidden, dropout=self.own.dropout)

    def opponent_rate(self, network_rate: float) -> float:  # noqa: ARG002 - it has one of its own
        """Learning rate of the discriminator."""
        return self.own.learning_rate

    def domain_term(self, source: Seen, target: Seen, again: Seen | None, progress: float) -> LossTerms:
        """The reversed loss of the discriminator plus the weighted loss of pseudo-labels."""
        assert self.adversary is not None
        assert again is not None
        strength = strength_at(progress, self.own.reversal, self.own.schedule)
        domain = domain_confusion(*(self.adversary(each.features, strength) for each in (source, target)))
        pseudo = fixmatch(target.logits, again.logits, threshold=self.own.threshold)
        counted_M = confident(target.logits.detach().float().softmax(dim=1), self.own.threshold)
        parts = {"domain": domain, "pseudo": pseudo, "confident": counted_M.float().mean()}
        return LossTerms(domain + self.own.weight * pseudo, parts)
