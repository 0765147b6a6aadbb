"""MMD: the distance of the two domains' features, as means in a kernel's space, stands in the loss.

Source: Long et al. 2015, "Learning Transferable Features with Deep Adaptation Networks" (DAN); the chapter, 3.3.
Departures: one layer, the last but one, in place of several; equal weights of the kernels; the unbiased statistic by
default.
"""

from __future__ import annotations

from medical_transfer.config import adaptation as config
from medical_transfer.losses.mmd import linear_mmd2, mmd2
from medical_transfer.methods.adaptation import Adaptation, Seen
from medical_transfer.methods.contract import LossTerms


class Mmd(Adaptation):
    """Fine-tuning with the squared discrepancy of features beside it."""

    own: config.Mmd

    def domain_term(self, source: Seen, target: Seen, again: Seen | None, progress: float) -> LossTerms:  # noqa: ARG002
        """Weight times squared MMD."""
        discrepancy = mmd2 if self.own.kernel == "gaussian" else linear_mmd2
        loss = discrepancy(source.features, target.features, biased=self.own.biased)
        return LossTerms(self.own.weight * loss, {"mmd": loss})
