"""The study of what scores are worth (exercise 1): which targets, which sources, and the budget of each outcome."""

from __future__ import annotations

from typing import ClassVar, Literal, Self

from pydantic import Field, model_validator

from medical_transfer.config.base import UserPath, each_once
from medical_transfer.config.study_targets import StudyTargets

Outcome = Literal["probe", "lp_ft"]


class StudyTransferability(StudyTargets):
    """Targets x sources x seeds: every score of the training images, and what was reached on the test images."""

    block: ClassVar[str] = "study_transferability"
    sources: list[str] = Field(
        default=["efficientnet_lite0", "efficientnet_lite1", "efficientnet_lite2", "random"], min_length=2
    )
    """Sources that are compared, the one that is taken by default first: their order here is a baseline."""
    weights_root: UserPath | None = None
    """A folder of weights with an `index.json`: all its files are sources too. null: `backbones.weights_root`."""
    seeds: list[int] = Field(default=[0, 1, 2], min_length=1)
    """Each seed divides every target anew, and draws the first weights of heads."""
    outcomes: list[Outcome] = Field(default=["probe", "lp_ft"], min_length=1)
    """What scores are held against: the test AUROC of a linear probe on frozen features, and of fine-tuning (head
    first, then everything), which sources that exist only as a graph do not have."""
    score_images: int = Field(default=400, ge=20)
    """Score on at most so many training images, drawn evenly over classes by the seed."""
    steps: int = Field(default=32, ge=1)
    """Fine-tuning steps of every source on every target once everything learns."""
    batch_size: int = Field(default=16, ge=2)
    """Images per step."""
    rounds: int = Field(default=2, ge=1)
    """Validation looks so many times, evenly over the steps, and the best time is kept."""
    head_rounds: int = Field(default=20, ge=1)
    """Before that the head learns from frozen features for so many times as many steps as one round has."""

    @model_validator(mode="after")
    def _each_once_and_whole_rounds(self) -> Self:
        each_once("study_transferability", sources=self.sources, seeds=self.seeds, outcomes=self.outcomes)
        if self.steps % self.rounds:
            raise ValueError(
                f"study_transferability.steps is {self.steps}, which is not a multiple of "
                f"study_transferability.rounds, {self.rounds}: budgets would not be equal"
            )
        return self
