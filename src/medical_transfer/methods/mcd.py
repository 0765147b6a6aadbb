"""MCD: two heads that disagree on target images as far as they can, and a trunk that gives them no occasion.

Source: Saito et al. 2018, "Maximum Classifier Discrepancy for Unsupervised Domain Adaptation". Departures: the paper's
three steps (all on source labels; heads against the trunk; trunk against the heads, several times) are one, with the
gradient reversed between trunk and heads, as the authors also tried; the two heads are the last layer twice (the
whole head with `align=trunk`), of which the first is saved.
"""

from __future__ import annotations

from torch import nn

from medical_transfer.config import adaptation as config
from medical_transfer.layers.gradient_reversal import reverse_gradient
from medical_transfer.losses.classifier_discrepancy import classifier_discrepancy
from medical_transfer.methods.adaptation import Adaptation, Seen, strength_at
from medical_transfer.methods.contract import LossTerms
from medical_transfer.models.heads import build_head


class Mcd(Adaptation):
    """Fine-tuning of two heads, whose disagreement on the target the trunk lowers and they raise."""

    own: config.Mcd

    def opponent(self, seed: int) -> nn.Module:
        """The second head: another draw of the last layer with the dropout before it, or of the whole head."""
        if self.aligns_trunk:
            return build_head(self.model.head, **self._sizes(), dropout=self.model.dropout, seed=seed)
        dropout = next((module.p for module in self.classifier.halves[1] if isinstance(module, nn.Dropout)), 0.0)
        return build_head("linear", **self._sizes(), dropout=dropout, seed=seed)

    def _sizes(self) -> dict[str, int]:
        return {"feature_dim": self.aligned_dim, "classes": self.classifier.classes}

    def domain_term(self, source: Seen, target: Seen, again: Seen | None, progress: float) -> LossTerms:  # noqa: ARG002 - one view
        """Cross-entropy of the second head, less the disagreement on the target."""
        assert self.adversary is not None
        assert source.labels_N is not None
        second = self.cross_entropy(self.adversary(source.features), source.labels_N)
        features = reverse_gradient(target.features, strength_at(progress, self.own.reversal, self.own.schedule))
        apart = classifier_discrepancy(self.classify(features), self.adversary(features))
        return LossTerms(second - self.own.weight * apart, {"second_head": second, "disagreement": apart})
