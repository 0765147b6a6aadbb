"""JMMD: the joint distribution of features and predictions is aligned, as the product of their kernels.

Source: Long et al. 2017, "Deep Transfer Learning with Joint Adaptation Networks". Departures: two layers, the last but
one and the predictions; the unbiased statistic by default; no adversarial form.
"""

from __future__ import annotations

from medical_transfer.config import adaptation as config
from medical_transfer.losses.jmmd import jmmd2
from medical_transfer.methods.adaptation import Adaptation, Seen
from medical_transfer.methods.contract import LossTerms


class Jmmd(Adaptation):
    """Fine-tuning with the squared joint discrepancy beside it."""

    own: config.Jmmd

    def domain_term(self, source: Seen, target: Seen, again: Seen | None, progress: float) -> LossTerms:  # noqa: ARG002
        """Weight times squared joint MMD of features and class probabilities."""
        layers = ((each.features, each.logits.softmax(dim=1)) for each in (source, target))
        loss = jmmd2(*layers, biased=self.own.biased)
        return LossTerms(self.own.weight * loss, {"jmmd": loss})
