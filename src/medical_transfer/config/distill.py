"""How a student learns from a teacher: what is compared, how softly, and how much it counts."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import Field, field_validator

from medical_transfer.config.base import Block, UserPath


class Dkd(Block):
    """The two parts of decoupled distillation (Zhao et al. 2022)."""

    target_weight: float = Field(default=1.0, ge=0)
    """Weight of how sure the teacher is of the true class (the paper's alpha)."""
    others_weight: float = Field(default=8.0, ge=0)
    """Weight of how it ranks the other classes (beta)."""


class Dist(Block):
    """The two relations of DIST (Huang et al. 2022)."""

    inter_weight: float = Field(default=1.0, ge=0)
    """Weight of the correlation of an image's classes (the paper's beta); with two classes it says nothing and is left
    out."""
    intra_weight: float = Field(default=1.0, ge=0)
    """Weight of the correlation of a class over the images of a batch (gamma)."""


class Distill(Block):
    """A student beside a teacher that is trained already; rates and phases are `finetune`'s."""

    teacher: tuple[UserPath, ...] = ()
    """Folder of the trained teacher, `data/06_models/finetuned/<key>`; of several, the mean of their logits teaches."""
    loss: Literal["kd", "dkd", "dist"] = "kd"
    """What is compared with the teacher's answers: softened probabilities (`kd`, Hinton et al. 2015; the chapter, 4.2),
    those of the true class and of the others apart (`dkd`), or correlations (`dist`)."""
    temperature: float = Field(default=3.0, gt=0)
    """Both networks' logits are divided by it before the softmax."""
    soft_weight: float = Field(default=0.7, ge=0, le=1)
    """Share of the teacher's part in the loss (the chapter's alpha); the labels have the rest. 0: labels alone."""
    standardised: bool = False
    """Logits are first given mean 0 and deviation 1 over classes (Sun et al. 2024), so that only their order and
    spacing count."""
    dkd: Dkd = Dkd()
    """Read with `loss: dkd`."""
    dist: Dist = Dist()
    """Read with `loss: dist`."""
    hints_weight: float = Field(default=0.0, ge=0)
    """Weight of FitNets' hints: a map of the student, through a learned 1 x 1 convolution, imitates one of the
    teacher."""
    attention_weight: float = Field(default=0.0, ge=0)
    """Weight of attention transfer: where in the picture the two maps are active."""
    distance_weight: float = Field(default=0.0, ge=0)
    """Weight of RKD's distances between the images of a batch."""
    angle_weight: float = Field(default=0.0, ge=0)
    """Weight of RKD's angles between them."""
    student_cut: int | None = Field(default=None, ge=1)
    """The student's map stands before its stage of this number, the first being 0; null: its last map."""
    teacher_cut: int | None = Field(default=None, ge=1)
    """The teacher's map, likewise."""

    @field_validator("teacher", mode="before")
    @classmethod
    def _one_or_several(cls, value: Any) -> Any:
        return (value,) if isinstance(value, str) else value

    @property
    def reads_maps(self) -> bool:
        """Whether maps in the middle of both networks are compared."""
        return self.hints_weight > 0 or self.attention_weight > 0

    @property
    def relates(self) -> bool:
        """Whether images are compared with one another in the features of both networks."""
        return self.distance_weight > 0 or self.angle_weight > 0
