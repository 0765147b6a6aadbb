"""The study of distillation (exercise 4): which temperature and which weight of the teacher's part."""

from __future__ import annotations

from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from medical_transfer.config.base import Block, each_once

Temperature = Annotated[float, Field(gt=0)]
SoftWeight = Annotated[float, Field(gt=0, le=1)]


class StudyDistillation(Block):
    """Temperatures x weights x seeds for one student, beside the same student without teacher, and the teacher.

    The teacher is a model of the main job under the parameters of the run, trained once for each seed.
    """

    temperatures: list[Temperature] = Field(default=[1.0, 3.0, 5.0, 10.0], min_length=1)
    """Temperatures (`training.distill.temperature`), as in the exercise."""
    soft_weights: list[SoftWeight] = Field(default=[0.3, 0.5, 0.7, 0.9], min_length=1)
    """Weights of the teacher's part (`training.distill.soft_weight`, the chapter's alpha), as in the exercise. The
    control has weight 0."""
    seeds: list[int] = Field(default=[0, 1, 2], min_length=1)
    """Each gives a split, a teacher, and first weights and order that all students of it share."""
    teacher: str | None = "efficientnet_lite0"
    """The teacher's pretrained source; null: the one that scores choose, for each seed anew."""
    teacher_freeze: Literal["all", "partial", "none"] = "all"
    """What of the teacher does not learn (`model.freeze`)."""
    student: str = "random/timm/test_resnet"
    """The student's source, of which everything learns. `random/house/chapter_student` is the chapter's."""
    learning_rate: float = Field(default=1e-3, gt=0)
    """The student's rate, the same for all its stages, as in the chapter."""
    steps: int = Field(default=200, ge=2)
    """Steps of every student."""
    batch_size: int = Field(default=32, ge=2)
    """Images per step."""
    rounds: int = Field(default=5, ge=1)
    """Validation looks so many times, evenly over the steps, and the best time is kept."""
    image_size: int | None = Field(default=64, ge=16, le=2048)
    """Side in pixels in place of `images.size`, of teacher and students; null: that one."""

    @model_validator(mode="after")
    def _each_once_and_whole_rounds(self) -> Self:
        each_once(
            "study_distillation", temperatures=self.temperatures, soft_weights=self.soft_weights, seeds=self.seeds
        )
        if self.steps % self.rounds:
            raise ValueError(
                f"study_distillation.steps is {self.steps}, which is not a multiple of study_distillation.rounds, "
                f"{self.rounds}: the last steps would not be looked at"
            )
        return self
