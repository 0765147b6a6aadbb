"""Distillation: a small network learns from labels and from the answers of a trained teacher to the same views.

Sources: Hinton et al. 2015; the chapter, 4.2; DKD, DIST, standardised logits, hints, attention and relations: see
`losses`. Same view for both: Beyer et al. 2022, "Knowledge distillation: A good teacher is patient and consistent".
Departures: the teacher's part and the labels share a weight of 1 whatever the loss (DKD and DIST add theirs to the
labels' loss); where classes are weighted, the teacher's answers are shifted likewise, see `Distill.asked`.
Shapes: N images, C classes, H features that the last layer sees.
"""

from __future__ import annotations

import logging
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from medical_transfer.config.model import Model
from medical_transfer.config.training import Training
from medical_transfer.data.loaders import Batch
from medical_transfer.layers.hint_regressor import HintRegressor
from medical_transfer.losses import dkd, logit_standardisation
from medical_transfer.losses.attention_transfer import attention_transfer
from medical_transfer.losses.dist import relations
from medical_transfer.losses.fitnet_hints import hint_loss
from medical_transfer.losses.kd import soft_divergence, weighed
from medical_transfer.losses.rkd import angle_relation, distance_relation
from medical_transfer.methods.contract import LossTerms, Phase
from medical_transfer.methods.finetune import FineTune
from medical_transfer.models.classifier import Classifier
from medical_transfer.models.teacher import Teacher, load_teacher, map_of
from medical_transfer.runtime.devices import move
from medical_transfer.types import UserError

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Seen:
    """What the student makes of a batch: logits, what its last layer sees, and its map where that is compared."""

    logits: Tensor
    features_NH: Tensor
    map: Tensor | None


class Distill(FineTune):
    """Fine-tuning of a student with the teacher's part beside the cross-entropy.

    What the teacher makes of each view comes with the batch where views are cached (`training.cached`); else it looks
    at the images of the batch. It is no part of the module: nothing of it learns or is saved.
    """

    def __init__(
        self,
        classifier: Classifier,
        *,
        model: Model,
        training: Training,
        class_weights_C: Tensor | None = None,
        seed: int = 0,
        teacher: Teacher | None = None,
    ) -> None:
        """`teacher` stands for those that `training.distill.teacher` names.

        Raises:
            UserError: where a teacher cannot be loaded, or what is asked for makes no sense for classes or networks.
        """
        super().__init__(classifier, model=model, training=training, class_weights_C=class_weights_C, seed=seed)
        self.own = training.distill
        self._check_classes(classifier.classes)
        self.teacher = teacher or load_teacher(self.own.teacher)
        self.teacher_cut: int | None = None
        self.student_cut: int | None = None
        self.regressor: HintRegressor | None = None
        self.reads_map = self.relates = False
        if self.own.reads_maps:
            self._compare_maps(seed)

    def phases(self) -> tuple[Phase, ...]:
        """Those of fine-tuning; the hints' regressor learns where the student's map does.

        Raises:
            UserError: where maps are to be compared, but nothing before the student's learns.
        """
        phases = super().phases()
        if self.own.reads_maps and not any(self._reads_map(phase) for phase in phases):
            raise UserError(
                f"training.distill compares the student's map before stage {self.student_cut}, but nothing before it "
                "learns: set model.freeze=none, a higher training.distill.student_cut, or hints_weight and "
                "attention_weight to 0."
            )
        return tuple(self._with_regressor(phase) if self._reads_map(phase) else phase for phase in phases)

    def start(self, phase: Phase) -> None:
        """Freeze what is below the phase's cut; compare maps and features only where they can change."""
        super().start(phase)
        self.reads_map = self._reads_map(phase)
        hidden_layer = len(self._head_matrices()) > 1
        self.relates = self.own.relates and (phase.frozen < self.stages or hidden_layer)
        if self.regressor is not None:
            self.regressor.requires_grad_(self.reads_map)

    def losses(self, batch: Batch, progress: float) -> LossTerms:  # noqa: ARG002 - a loss that doesn't change in time
        """soft_weight times the teacher's part, the rest of the weight times cross-entropy; features; penalties."""
        seen, told = self._see(batch), self.told(batch)
        labelled = self.supervised(seen.logits, batch.labels_N)
        parts = labelled.parts or {"cross_entropy": labelled.total}
        hard = parts["cross_entropy"]
        soft = self.soft(seen.logits, self.asked(told["logits"]), batch.labels_N)
        total = weighed(soft, hard, soft_weight=self.own.soft_weight) + (labelled.total - hard)
        compared = self._compared(seen, told)
        for name, term in compared.items():
            total = total + getattr(self.own, f"{name}_weight") * term
        return LossTerms(total, {**parts, self.own.loss: soft, **compared})

    def soft(self, student_NC: Tensor, teacher_NC: Tensor, labels_N: Tensor) -> Tensor:
        """The teacher's part."""
        temperature = self.own.temperature
        if self.own.standardised:
            student_NC, teacher_NC = (logit_standardisation.standardised(each) for each in (student_NC, teacher_NC))
        if self.own.loss == "dkd":
            weights = self.own.dkd.model_dump()
            return dkd.decoupled_divergence(student_NC, teacher_NC, labels_N, temperature=temperature, **weights)
        if self.own.loss == "dist":
            return relations(student_NC, teacher_NC, temperature=temperature, **self.own.dist.model_dump())
        return soft_divergence(student_NC, teacher_NC, temperature=temperature)

    def asked(self, teacher_NC: Tensor) -> Tensor:
        """The teacher's logits as the student's should be: plus log w_c where classes are weighted by w_c.

        Cross-entropy weighted by w_c is least where the model says w_c p_c / sum(w p), and `undo_class_weights` takes
        log w_c off at the end. A teacher says p_c, so both parts ask for the same only with log w_c on its logits.
        """
        if self.class_weights_C is None:
            return teacher_NC
        return teacher_NC.float() + move(self.class_weights_C, teacher_NC.device).log()

    def told(self, batch: Batch) -> dict[str, Tensor]:
        """What the teacher makes of the views in the batch."""
        if batch.told:
            return dict(batch.told)
        assert self.cut == 0, "activations of the student tell the teacher nothing"
        return self.teacher.see(batch.inputs, map_cut=self.teacher_cut)

    def _compared(self, seen: Seen, told: dict[str, Tensor]) -> dict[str, Tensor]:
        """The losses between features and maps that have a weight, by the names of their weights."""
        found: dict[str, Tensor] = {}
        if seen.map is not None and self.regressor is not None:
            found["hints"] = hint_loss(self.regressor(seen.map), told["map"])
        if seen.map is not None and self.own.attention_weight > 0:
            found["attention"] = attention_transfer(seen.map, told["map"])
        for name, relation in (("distance", distance_relation), ("angle", angle_relation)):
            if self.relates and getattr(self.own, f"{name}_weight") > 0:
                found[name] = relation(seen.features_NH, told["features"])
        return found

    def _see(self, batch: Batch) -> Seen:
        trunk, mapped = self.classifier.trunk, None
        activation, done = (batch.inputs, self.cut) if self.cut else (self.classifier.normalise(batch.inputs), 0)
        if self.reads_map:
            assert self.student_cut is not None
            mapped = trunk.run(activation, done, self.student_cut)
            activation, done = mapped, self.student_cut
        features_ND = self.classifier.standardise(trunk.forward_from(activation, done))
        before, last = self.classifier.halves
        features_NH = before(features_ND)
        return Seen(last(features_NH), features_NH, mapped)

    def _check_classes(self, classes: int) -> None:
        if self.own.loss == "dkd":
            dkd.check_classes(classes)
        if self.own.standardised:
            logit_standardisation.check_classes(classes)
        if self.own.loss == "dist" and classes == 2:
            if self.own.dist.intra_weight == 0:
                raise UserError(
                    "training.distill.dist.intra_weight is 0, and with two classes the other relation of DIST says "
                    "nothing: raise it, or set training.distill.loss=kd."
                )
            logger.info("With two classes DIST compares images within a class only: within an image there is no more")

    def _compare_maps(self, seed: int) -> None:
        """Find both maps; the regressor between them begins with weights from `seed`."""
        taught = self.teacher.map_of(self.own.teacher_cut)
        mine = map_of(self.classifier, self.own.student_cut, "student")
        self.teacher_cut, self.student_cut = taught.cut, mine.cut
        if self.own.hints_weight > 0:
            with torch.random.fork_rng(devices=[]):
                torch.manual_seed(seed)
                self.regressor = HintRegressor(mine.channels, taught.channels)

    def _reads_map(self, phase: Phase) -> bool:
        """Whether something before the student's map learns in a phase."""
        return self.student_cut is not None and phase.frozen < self.student_cut

    def _with_regressor(self, phase: Phase) -> Phase:
        if self.regressor is None:
            return phase
        rate = max(group["lr"] for group in phase.groups)
        own = {"name": "hint_regressor", "lr": rate, "weight_decay": 0.0}
        return replace(phase, groups=(*phase.groups, {**own, "params": list(self.regressor.parameters())}))
