"""Fine-tuning: the head first on frozen features, then the stages that may learn, the lower the slower.

LP-FT: Kumar et al. 2022, "Fine-Tuning can Distort Pretrained Features and Underperform Out-of-Distribution".
Discriminative rates and gradual unfreezing: Howard & Ruder 2018, sections 3.2 and 3.3. L2-SP: Li, Grandvalet &
Davoine 2018, eq. 2.
Shapes: N images, C classes.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import torch
from scipy.special import softmax
from torch import Tensor, nn
from torch.nn import functional

from medical_transfer.config.model import Model
from medical_transfer.config.training import Training
from medical_transfer.data.loaders import Batch
from medical_transfer.methods.contract import LossTerms, Outputs, Phase, Predictions
from medical_transfer.metrics.classification import auroc
from medical_transfer.models.classifier import Classifier
from medical_transfer.models.freezing import cut_of, freeze_below, thaw_gradually
from medical_transfer.models.learning_rates import parameter_groups
from medical_transfer.runtime.devices import move
from medical_transfer.schedules import SCHEDULES


class FineTune(nn.Module):
    """Trains a classifier by cross-entropy, in one or more phases.

    Phase `head` learns the head on features cached at the end of the trunk. Phase `trunk` lets the last stages, or all
    of them, move too; it learns from activations cached before the first stage that moves, or from images. With
    gradual unfreezing the phases `thaw_1`, `thaw_2`, ... take its place and share its epochs, see `thaw_gradually`.
    With `training.cached=false` all learn from images.

    So many caches would take much room where maps are large: a phase of gradual unfreezing learns from images where its
    activations in half precision are larger than these.
    """

    def __init__(
        self,
        classifier: Classifier,
        *,
        model: Model,
        training: Training,
        class_weights_C: Tensor | None = None,
        seed: int = 0,  # noqa: ARG002 - of what a method itself begins with; here that is nothing
    ) -> None:
        super().__init__()
        self.classifier = classifier
        self.model, self.epochs, self.config = model, training.epochs, training.finetune
        self.cached = training.cached
        self.stages = len(classifier.trunk.stage_names)
        self.cut = self.frozen = self.stages
        self.class_weights_C = class_weights_C
        classifier.trunk.frozen_statistics = self.config.batch_norm == "frozen"
        moving = classifier.trunk.named_parameters() if self.config.l2_sp > 0 else ()
        self.pretrained = {name: p.detach().clone() for name, p in moving}

    def phases(self) -> tuple[Phase, ...]:
        """The head alone where asked for, or where nothing else may learn; then the trunk above its cut."""
        head, moving = self._head_alone(), self._moving()
        return (head, *moving) if self.config.head_first or not moving else moving

    def start(self, phase: Phase) -> None:
        """Freeze what is below the phase's cut."""
        self.cut, self.frozen = phase.cut, phase.frozen
        freeze_below(self.classifier, phase.frozen)

    def losses(self, batch: Batch, progress: float) -> LossTerms:  # noqa: ARG002 - a loss that doesn't change in time
        """Weighted cross-entropy and a penalty.

        In the head phase head_l2/2 ||W||^2 of a linear head, which so ends where a logistic regression would; in the
        trunk phase l2_sp/2 ||w - w_pretrained||^2 over what moves of the trunk.
        """
        return self.supervised(self.logits(batch), batch.labels_N)

    def supervised(self, logits: Tensor, labels_N: Tensor) -> LossTerms:
        """The loss of labelled rows."""
        cross_entropy = self.cross_entropy(logits, labels_N)
        if not self._has_own_penalty(self.frozen):
            return LossTerms(cross_entropy)
        name, penalty = self._penalty()
        return LossTerms(cross_entropy + penalty, {"cross_entropy": cross_entropy, name: penalty})

    def cross_entropy(self, logits: Tensor, labels_N: Tensor) -> Tensor:
        """Scalar cross-entropy, weighted and smoothed."""
        weights = self.class_weights_C
        return functional.cross_entropy(
            logits,
            labels_N,
            weight=None if weights is None else move(weights, logits.device),
            label_smoothing=self.config.label_smoothing,
        )

    def logits(self, batch: Batch) -> Tensor:
        """Logits (N, C) of images, or of activations at the phase's cut."""
        if self.cut == 0:
            logits: Tensor = self.classifier(batch.inputs)
            return logits
        return self.classifier.forward_from(batch.inputs, self.cut)

    def predictions(self, batch: Batch, *, of_target: bool = False) -> Predictions:  # noqa: ARG002 - it knows one domain
        """Logits of validation rows."""
        return Predictions(self.logits(batch))

    def selection(self, outputs: Outputs) -> float:
        """Validation AUROC (macro one-vs-rest for more than two classes)."""
        probabilities_NC = softmax(outputs.logits_NC, axis=1)
        return float(auroc(outputs.labels_N, probabilities_NC, np.ones((1, len(outputs.labels_N))))[0])

    def scores(self, outputs: Outputs) -> Mapping[str, float]:  # noqa: ARG002 - a method like any other
        """Nothing beside the selection, which the history has as `val_auroc`."""
        return {}

    def predictor(self) -> Classifier:
        """The classifier itself."""
        return self.classifier

    def _head_alone(self) -> Phase:
        return self._phase("head", self.stages, self.config.head_epochs, self.config.head_learning_rate)

    def _moving(self) -> tuple[Phase, ...]:
        """The phases in which the trunk moves; none where all of it is frozen."""
        cut = cut_of(self.classifier.trunk, self.model.freeze, self.model.trainable_stages)
        if cut == self.stages:
            return ()
        return self._thawing(cut) if self.config.unfreezing == "gradual" else self._all_at_once(cut)

    def _all_at_once(self, cut: int) -> tuple[Phase, ...]:
        return (self._phase("trunk", cut, self.epochs, self.config.learning_rate),)

    def _thawing(self, cut: int) -> tuple[Phase, ...]:
        thaws = thaw_gradually(self.stages, cut, self.epochs)
        return tuple(
            self._phase(f"thaw_{number}", thaw.frozen, thaw.epochs, self.config.learning_rate)
            for number, thaw in enumerate(thaws, start=1)
        )

    def _phase(self, name: str, frozen: int, epochs: int, rate: float) -> Phase:
        freeze_below(self.classifier, frozen)
        cut = frozen if self._is_cached(frozen) else 0
        groups = parameter_groups(
            self.classifier,
            base_rate=rate,
            multiplier=self.config.multiplier,
            weight_decay=0.0 if self._has_own_penalty(frozen) else self.config.weight_decay,
        )
        schedule, convex = SCHEDULES[self.config.schedule], self._is_convex(frozen)
        return Phase(name, cut, frozen, epochs, tuple(dict(group) for group in groups), schedule, converges=convex)

    def _is_cached(self, frozen: int) -> bool:
        """Whether a phase with so many frozen stages learns from activations at their end, or from images."""
        trunk = self.classifier.trunk
        if not self.cached:
            return False
        if self.config.unfreezing == "gradual":
            return trunk.is_compact(frozen)
        return trunk.cuttable or frozen == self.stages

    def _is_convex(self, frozen: int) -> bool:
        """Whether a linear head learns alone: its cross-entropy has one minimum."""
        return frozen == self.stages and len(self._head_matrices()) == 1

    def _has_own_penalty(self, frozen: int) -> bool:
        """Whether a penalty of the loss takes the place of weight decay, which would pull elsewhere."""
        if frozen < self.stages:
            return self.config.l2_sp > 0
        return self.config.head_l2 > 0 and self._is_convex(frozen)

    def _penalty(self) -> tuple[str, Tensor]:
        if self.frozen == self.stages:
            return "head_l2", self.config.head_l2 / 2 * self._head_matrices()[0].square().sum()
        return "l2_sp", self.config.l2_sp / 2 * self._squared_distance()

    def _head_matrices(self) -> list[nn.Parameter]:
        return [p for p in self.classifier.head.parameters() if p.ndim > 1]

    def _squared_distance(self) -> Tensor:
        learning = ((n, p) for n, p in self.classifier.trunk.named_parameters() if p.requires_grad)
        return torch.stack([(p - self._start_of(n, p)).square().sum() for n, p in learning]).sum()

    def _start_of(self, name: str, parameter: nn.Parameter) -> Tensor:
        """The pretrained value, which follows its parameter to a device once and not in every step."""
        if self.pretrained[name].device != parameter.device:
            self.pretrained[name] = self.pretrained[name].to(parameter.device)
        return self.pretrained[name]
