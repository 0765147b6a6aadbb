"""Deep CORAL: the covariances of the two domains' features are brought together.

Source: Sun and Saenko 2016, "Deep CORAL: Correlation Alignment for Deep Domain Adaptation". Departure: on what the last
layer sees, where the paper takes its output.
"""

from __future__ import annotations

from torch import nn

from medical_transfer.config.training import Training
from medical_transfer.losses.coral import coral
from medical_transfer.methods.adaptation import Adaptation, Seen
from medical_transfer.methods.contract import LossTerms


class Coral(Adaptation):
    """Fine-tuning with the distance of covariances beside it."""

    def opponent(self, training: Training, seed: int) -> nn.Module | None:  # noqa: ARG002 - nothing to begin with
        """None: the distance is computed, not learned."""
        self.own = training.coral
        return None

    def domain_term(self, source: Seen, target: Seen, again: Seen | None, progress: float) -> LossTerms:  # noqa: ARG002
        """Weight times |C_source - C_target|^2 / (4 H^2)."""
        loss = coral(source.features, target.features)
        return LossTerms(self.own.weight * loss, {"coral": loss})
