"""What methods of adaptation have in common: fine-tuning on source labels, beside a term that sees both domains.

No method itself: each of them is a file of its own, which says what the term is. Phases, rates and the loss of labelled
rows are those of fine-tuning; only the head that warms up learns from the source alone.
Shapes: N source and M target images, C classes, H features that are aligned: what the last layer sees, or the head.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, replace
from typing import ClassVar

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.special import log_softmax, softmax
from torch import Tensor, nn

from medical_transfer.config.adaptation import TARGET_SCORES as SCORES
from medical_transfer.config.base import Block
from medical_transfer.config.model import NOTHING_ADAPTS, Model
from medical_transfer.config.training import Training
from medical_transfer.data.loaders import Batch
from medical_transfer.layers.domain_statistics import DomainStatistics
from medical_transfer.methods.contract import LossTerms, Outputs, Phase, Predictions
from medical_transfer.methods.finetune import FineTune
from medical_transfer.metrics.importance_weighted import deep_embedded_validation
from medical_transfer.metrics.label_free import TARGET_SCORES
from medical_transfer.models.classifier import Classifier
from medical_transfer.schedules import reversal_strength
from medical_transfer.types import UserError


@dataclass(frozen=True)
class Seen:
    """What the network makes of images of one domain: the features that are aligned (N, H), and logits (N, C).

    Labels (N,) are those of the source; the target has none.
    """

    features: Tensor
    logits: Tensor
    labels_N: Tensor | None = None


class Adaptation(FineTune, ABC):
    """Fine-tuning with a `domain_term` beside the loss of labelled rows; a method says what that is."""

    twice: ClassVar[bool] = False
    """Whether the term needs target rows under a second, augmented view."""
    own: Block
    """The method's own block of `training`."""

    def __init__(
        self,
        classifier: Classifier,
        *,
        model: Model,
        training: Training,
        class_weights_C: Tensor | None = None,
        seed: int = 0,
    ) -> None:
        """Raises UserError where nothing of the features can move."""
        super().__init__(classifier, model=model, training=training, class_weights_C=class_weights_C)
        self.own, self.adaptation = getattr(training, training.kind), training.adaptation
        classifier.trunk.frozen_statistics = self.adaptation.batch_norm == "frozen"
        self.statistics = DomainStatistics(classifier) if self.adaptation.batch_norm == "per_domain" else None
        self.adversary = self.opponent(seed)

    @property
    def aligns_trunk(self) -> bool:
        """Whether the trunk's features are aligned, and not what the last layer sees."""
        return self.adaptation.align == "trunk"

    @property
    def aligned_dim(self) -> int:
        """H, how many numbers are aligned."""
        return self.classifier.trunk.feature_dim if self.aligns_trunk else self.classifier.embedded_dim

    def classify(self, aligned_NH: Tensor) -> Tensor:
        """Logits (N, C) of aligned features."""
        logits: Tensor = self.classifier.head(aligned_NH) if self.aligns_trunk else self.classifier.classify(aligned_NH)
        return logits

    def opponent(self, seed: int) -> nn.Module | None:  # noqa: ARG002 - most have none
        """A network that learns beside the classifier and is not saved with it; None where there is none."""
        return None

    def opponent_rate(self, network_rate: float) -> float:
        """Learning rate of that network in a phase where the head has `network_rate`."""
        return network_rate

    @abstractmethod
    def domain_term(self, source: Seen, target: Seen, again: Seen | None, progress: float) -> LossTerms:
        """What is added to the loss, from both domains.

        Args:
            source: source images of the batch.
            target: target images of the batch.
            again: the same target images under an augmented view, where `twice`.
            progress: share of the phase's steps that are done.
        """

    def phases(self) -> tuple[Phase, ...]:
        """The head alone on the source, where asked for; then both domains.

        Raises:
            UserError: where all that comes before the aligned features is frozen.
        """
        moving = self._moving() or (self._hidden_layer(),)
        paired = tuple(self._paired(phase) for phase in moving)
        return (replace(self._head_alone(), warms_up=True), *paired) if self.config.head_first else paired

    def start(self, phase: Phase) -> None:
        """Freeze what is below the phase's cut; the adversary learns where there are pairs."""
        super().start(phase)
        if self.adversary is not None:
            self.adversary.requires_grad_(phase.pairs)

    def losses(self, batch: Batch, progress: float) -> LossTerms:
        """The loss of labelled rows plus the domain term, where there are two domains."""
        if batch.target is None:
            return super().losses(batch, progress)
        source, target, again = self._see(batch)
        source = replace(source, labels_N=batch.labels_N)
        labelled = self.supervised(source.logits, batch.labels_N)
        with torch.random.fork_rng(devices=[]):  # an adversary's dropout must not move that of the network
            term = self.domain_term(source, target, again, progress)
        parts = labelled.parts or {"cross_entropy": labelled.total}
        return LossTerms(labelled.total + term.total, {**parts, **term.parts})

    def predictions(self, batch: Batch, *, of_target: bool = False) -> Predictions:
        """Logits and features of validation rows of either domain."""
        with nullcontext() if of_target else self._source_statistics():
            seen = self._forward(batch.inputs)
        return Predictions(seen.logits, seen.features)

    def selection(self, outputs: Outputs) -> float:
        """The score that `training.adaptation.selection` names."""
        return self._score(self.adaptation.selection, outputs)

    def scores(self, outputs: Outputs) -> Mapping[str, float]:
        """Source AUROC and all scores of the target's predictions; DEV only where it selects, for it takes longest."""
        return {"val_auroc": self._score("source", outputs), **{name: self._score(name, outputs) for name in SCORES}}

    def _score(self, name: str, outputs: Outputs) -> float:
        if name == "source":
            return super().selection(outputs)
        if name == "dev":
            return dev_of(outputs)
        assert outputs.target_logits_MC is not None
        return TARGET_SCORES[SCORES[name]](softmax(outputs.target_logits_MC, axis=1))

    def _hidden_layer(self) -> Phase:
        """With a frozen trunk, the hidden layer of the head is all that adapts."""
        if self.aligns_trunk or len(self._head_matrices()) == 1:
            raise UserError(NOTHING_ADAPTS)
        return self._phase("adapt", self.stages, self.epochs, self.config.head_learning_rate)

    def _paired(self, phase: Phase) -> Phase:
        groups = phase.groups
        if self.adversary is not None:
            rate = self.opponent_rate(max(group["lr"] for group in groups))
            own = {"name": "adversary", "part": "adversary", "lr": rate, "weight_decay": 0.0}
            groups = (*groups, {**own, "params": list(self.adversary.parameters())})
        return replace(phase, groups=groups, pairs=True, twice=self.twice, converges=False)

    def _see(self, batch: Batch) -> tuple[Seen, Seen, Seen | None]:
        """Both domains through one batch norm, or each through its own."""
        assert batch.target is not None
        of_target = [batch.target] if batch.target_again is None else [batch.target, batch.target_again]
        if self.statistics is None:
            source, *seen = _divided(self._forward(torch.cat([batch.inputs, *of_target])), [batch.inputs, *of_target])
        else:
            with self._source_statistics():
                source = self._forward(batch.inputs)
            seen = _divided(self._forward(torch.cat(of_target)), of_target)
        return source, seen[0], seen[1] if len(seen) > 1 else None

    def _forward(self, inputs: Tensor) -> Seen:
        see = self.classifier.seen_by_head if self.aligns_trunk else self.classifier.embed
        features = see(inputs, self.cut)
        return Seen(features, self.classify(features))

    def _source_statistics(self) -> AbstractContextManager[None]:
        return nullcontext() if self.statistics is None else self.statistics.of_source()


def strength_at(progress: float, highest: float, schedule: str) -> float:
    """Strength of a reversal by the share of steps that are done."""
    return reversal_strength(progress, highest=highest) if schedule == "rising" else highest


def dev_of(outputs: Outputs) -> float:
    """Deep embedded validation from validation rows alone.

    Departure from You et al. 2019, who learn the density ratio on training rows: here on one half of the source's
    validation rows and all of the target's, for the other half, and the other way round; the mean of both.
    """
    features_NH, target_MH = outputs.features_NH, outputs.target_features_MH
    assert features_NH is not None
    assert target_MH is not None
    rows_N = np.arange(len(outputs.labels_N))
    losses_N = -log_softmax(outputs.logits_NC, axis=1)[rows_N, outputs.labels_N]

    def judged(kept_N: NDArray[np.bool_]) -> float:
        known = {"source_features_MD": features_NH[~kept_N], "target_features_KD": target_MH}
        return deep_embedded_validation(losses_N[kept_N], features_NH[kept_N], **known)

    return (judged(rows_N % 2 == 0) + judged(rows_N % 2 == 1)) / 2


def _divided(seen: Seen, parts: list[Tensor]) -> list[Seen]:
    """What was seen of inputs that went together."""
    sizes = [len(part) for part in parts]
    pairs = zip(torch.split(seen.features, sizes), torch.split(seen.logits, sizes), strict=True)
    return [Seen(features, logits) for features, logits in pairs]
