"""Self-training: the network's confident answers on target images as they are teach it about augmented views of them.

Sources: Sohn et al. 2020, "FixMatch"; Berthelot et al. 2022, "AdaMatch". Departures: the weak view is the image as it
is, the strong one a view of `augmentation.policy`; source images come in one view; class shares are those of the batch;
AdaMatch's random interpolation of logits, its schedule of the weight and the moving average of weights are left out.
"""

from __future__ import annotations

from typing import ClassVar

from torch import Tensor

from medical_transfer.config import adaptation as config
from medical_transfer.losses.pseudo_labels import (
    adamatch,
    aligned_probabilities,
    confident,
    fixmatch,
    relative_threshold,
)
from medical_transfer.methods.adaptation import Adaptation, Seen
from medical_transfer.methods.contract import LossTerms


class SelfTraining(Adaptation):
    """Fine-tuning with the network's own confident answers beside the labels of the source."""

    own: config.SelfTraining

    twice: ClassVar[bool] = True

    def domain_term(self, source: Seen, target: Seen, again: Seen | None, progress: float) -> LossTerms:  # noqa: ARG002
        """Weight times the loss of augmented views against answers to plain ones; which share of them counted."""
        assert again is not None
        weak_MC = target.logits.detach().float().softmax(dim=1)
        if self.own.rule == "fixmatch":
            counted_M = confident(weak_MC, self.own.threshold)
            loss = fixmatch(target.logits, again.logits, threshold=self.own.threshold)
        else:
            loss, counted_M = self._adamatch(source, weak_MC, again)
        return LossTerms(self.own.weight * loss, {"pseudo": loss, "confident": counted_M.float().mean()})

    def _adamatch(self, source: Seen, weak_MC: Tensor, again: Seen) -> tuple[Tensor, Tensor]:
        source_NC = source.logits.detach().float().softmax(dim=1)
        shares = {"source_mean_C": source_NC.mean(dim=0), "target_mean_C": weak_MC.mean(dim=0)}
        aligned_MC = aligned_probabilities(weak_MC, **shares)
        counted_M = confident(aligned_MC, relative_threshold(source_NC, share=self.own.share))
        return adamatch(aligned_MC, again.logits, counted_M), counted_M
