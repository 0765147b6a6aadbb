"""Distillation: a small network learns from labels and from the answers of a trained teacher to the same views.

Sources: Hinton et al. 2015; the chapter, 4.2. Same view for both: Beyer et al. 2022, "Knowledge distillation: A good
teacher is patient and consistent". Departure from the chapter: where classes are weighted, the teacher's answers are
shifted as the labels' loss shifts the student's, see `Distill.asked`.
Shapes: N images, C classes.
"""

from __future__ import annotations

from torch import Tensor

from medical_transfer.config.model import Model
from medical_transfer.config.training import Training
from medical_transfer.data.loaders import Batch
from medical_transfer.losses.kd import soft_divergence, weighed
from medical_transfer.methods.contract import LossTerms
from medical_transfer.methods.finetune import FineTune
from medical_transfer.models.classifier import Classifier
from medical_transfer.models.teacher import Teacher, load_teacher
from medical_transfer.runtime.devices import move


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
            UserError: where a teacher cannot be loaded, or what is asked for makes no sense for the classes.
        """
        super().__init__(classifier, model=model, training=training, class_weights_C=class_weights_C, seed=seed)
        self.own = training.distill
        self.teacher = teacher or load_teacher(self.own.teacher)
        self.teacher_cut = self.teacher.map_cut(self.own.teacher_cut) if self.own.reads_maps else None

    def losses(self, batch: Batch, progress: float) -> LossTerms:  # noqa: ARG002 - a loss that doesn't change in time
        """soft_weight times the teacher's part, the rest of the weight times cross-entropy, and penalties."""
        logits, told = self.logits(batch), self.told(batch)
        labelled = self.supervised(logits, batch.labels_N)
        parts = labelled.parts or {"cross_entropy": labelled.total}
        hard = parts["cross_entropy"]
        soft = self.soft(logits, self.asked(told["logits"]))
        total = weighed(soft, hard, soft_weight=self.own.soft_weight) + (labelled.total - hard)
        return LossTerms(total, {**parts, self.own.loss: soft})

    def soft(self, student_NC: Tensor, teacher_NC: Tensor) -> Tensor:
        """The teacher's part."""
        return soft_divergence(student_NC, teacher_NC, temperature=self.own.temperature)

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
