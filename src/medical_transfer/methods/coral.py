"""Deep CORAL: the covariances of the two domains' features are brought together.

Source: Sun and Saenko 2016, "Deep CORAL: Correlation Alignment for Deep Domain Adaptation". Departure: on what the last
layer sees, where the paper takes its output.
"""

from __future__ import annotations

from medical_transfer.config import adaptation as config
from medical_transfer.losses.coral import coral
from medical_transfer.methods.adaptation import Adaptation, Seen
from medical_transfer.methods.contract import LossTerms


class Coral(Adaptation):
    """Fine-tuning with the distance of covariances beside it."""

    own: config.Coral

    def domain_term(self, source: Seen, target: Seen, again: Seen | None, progress: float) -> LossTerms:  # noqa: ARG002
        """Weight times |C_source - C_target|^2 / (4 H^2)."""
        loss = coral(source.features, target.features)
        return LossTerms(self.own.weight * loss, {"coral": loss})
