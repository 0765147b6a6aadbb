"""The study of what scores are worth (exercise 1): which targets, which sources, and the budget of each outcome."""

from __future__ import annotations

from typing import Any, Literal, Self

from pydantic import Field, ValidationError, field_validator, model_validator

from medical_transfer.config.augmentation import Augmentation
from medical_transfer.config.base import Block, UserPath
from medical_transfer.config.images import Images
from medical_transfer.config.split import SplitConfig

Outcome = Literal["probe", "lp_ft"]


class StudyTarget(Block):
    """One set of images to transfer to: what it says over the run's own blocks."""

    images: dict[str, Any] = Field(default={"kind": "packaged"})
    """As the block `images`: kind, place, classes, patients. What is not said here is at its default where it belongs
    to a set of images, and as in the run where it is about how pixels are read."""
    split: dict[str, Any] = Field(default={})
    """As the block `split`, over that of the run."""
    augmentation: dict[str, Any] = Field(default={})
    """As the block `augmentation`, over that of the run: which mirror images mean the same."""

    @field_validator("images", "split", "augmentation")
    @classmethod
    def _can_be_a_block(cls, value: dict[str, Any], info: Any) -> dict[str, Any]:
        blocks: dict[str, type[Block]] = {"images": Images, "split": SplitConfig, "augmentation": Augmentation}
        try:
            blocks[info.field_name].model_validate(value)
        except ValidationError as error:
            first = error.errors()[0]
            place = ".".join([info.field_name, *map(str, first["loc"])])
            raise ValueError(f"{place}: {first['msg'].removeprefix('Value error, ')}") from error
        return value


class StudyTransferability(Block):
    """Targets x sources x seeds: every score of the training images, and what was reached on the test images."""

    targets: dict[str, StudyTarget | None] = Field(default={"brain_mri": StudyTarget()})
    """Sets of images by name; null leaves one out, also one that `targets_root` holds."""
    targets_root: UserPath | None = None
    """A folder with sets that `conf/shared` describes, as tar, npz or unpacked: each of them is a target too."""
    only: list[str] | None = None
    """Names of the targets to study; null: all."""
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
    image_size: int = Field(default=80, ge=16, le=2048)
    """Side in pixels of all images of all targets."""
    max_images: int | None = Field(default=1500, ge=60)
    """Use at most so many images of a target, drawn evenly over classes by the first seed; null: all."""
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
        lists: dict[str, list[Any]] = {"sources": self.sources, "seeds": self.seeds, "outcomes": self.outcomes}
        for name, values in lists.items():
            if len(set(values)) < len(values):
                raise ValueError(f"study_transferability.{name} is {values}: name each once")
        if self.steps % self.rounds:
            raise ValueError(
                f"study_transferability.steps is {self.steps}, which is not a multiple of "
                f"study_transferability.rounds, {self.rounds}: budgets would not be equal"
            )
        return self
