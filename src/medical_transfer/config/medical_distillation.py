"""The small student of the fine-tuned teacher: which network, how it is trained, and what its export may lose."""

from __future__ import annotations

from typing import Literal

from pydantic import Field, field_validator

from medical_transfer.config.base import Block
from medical_transfer.config.training import Finetune, Training


class Int8(Block):
    """The twin in 8-bit integers, and by how much it may differ from the floats on validation images."""

    calibration_images: int = Field(default=128, ge=8)
    """So many training images, evenly over classes, show the ranges of activations."""
    convolutions_in_floats: int = Field(default=12, ge=0)
    """So many of the first convolutions are not rounded: they have few weights, and what they round goes through all
    behind them."""
    max_auroc_loss: float = Field(default=0.01, ge=0, lt=1)
    """Most AUROC that it may lose; where it loses more, the floats are shipped and a warning says so."""
    max_disagreement: float = Field(default=0.03, ge=0, le=1)
    """Largest share of images that it may decide otherwise, likewise."""


class MedicalDistillation(Block):
    """The pipeline `medical_distillation`. The loss and its weights are `training.distill`'s."""

    student: str = "first5.1/efficientnet_lite0"
    """A source, as in `transferability.sources`; `first5.1/<source>` is the first five stages of one and one block of
    its sixth."""
    freeze: Literal["all", "partial", "none"] = "partial"
    """What of the student does not learn, as `model.freeze`."""
    trainable_stages: int = Field(default=2, ge=1)
    """With `partial`: so many of its last stages."""
    head_first: bool = True
    """Learn the head alone first, on frozen features; of no use to an untrained student."""
    epochs: int = Field(default=12, ge=1)
    """Most epochs once the trunk moves."""
    patience: int = Field(default=5, ge=1)
    """Epochs without a better validation score before it stops."""
    learning_rate: float = Field(default=1e-3, gt=0)
    """Learning rate of the head once the trunk moves, as `training.finetune.learning_rate`."""
    multiplier: float = Field(default=1.5, ge=1)
    """Ratio of learning rates between neighbouring stages."""
    batch_norm: Literal["frozen", "adapt"] = "adapt"
    """As `training.finetune.batch_norm`; an untrained student needs `adapt`."""
    int8: Int8 = Int8()
    timing_rounds: int = Field(default=10, ge=3)
    """So many times each engine is timed, in turn with the others."""

    @field_validator("student")
    @classmethod
    def _is_one_network(cls, student: str) -> str:
        if "+" in student:
            raise ValueError(f"{student!r} is several networks side by side, which are not exported: name one")
        return student

    def finetune(self, base: Finetune) -> Finetune:
        """The student's rates; everything else is the main job's."""
        own = {"head_first", "learning_rate", "multiplier", "batch_norm"}
        return base.model_copy(update={"unfreezing": "at_once"} | {name: getattr(self, name) for name in own})

    def alone(self, base: Training) -> Training:
        """How the student learns without a teacher."""
        facts = {"epochs": self.epochs, "patience": self.patience, "finetune": self.finetune(base.finetune)}
        return base.model_copy(update={"kind": "finetune", **facts})
