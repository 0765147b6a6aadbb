"""Sets of images that a study reads: those that its block names, and those of a folder that `conf/shared` describes."""

from __future__ import annotations

from typing import Any, ClassVar

from pydantic import Field, ValidationError, field_validator

from medical_transfer.config.augmentation import Augmentation
from medical_transfer.config.base import Block, UserPath
from medical_transfer.config.images import Images
from medical_transfer.config.split import SplitConfig


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


class StudyTargets(Block):
    """What a study of several sets of images says of them."""

    block: ClassVar[str]
    """The name of the study's block, for sentences."""
    targets: dict[str, StudyTarget | None] = Field(default={"brain_mri": StudyTarget()})
    """Sets of images by name; null leaves one out, also one that `targets_root` holds."""
    targets_root: UserPath | None = None
    """A folder with sets that `conf/shared` describes, as tar, npz or unpacked: each of them is a target too."""
    only: list[str] | None = None
    """Names of the targets to study; null: all."""
    image_size: int = Field(default=80, ge=16, le=2048)
    """Side in pixels of all images of all targets."""
    max_images: int | None = Field(default=1500, ge=60)
    """Use at most so many images of a target, drawn evenly over classes by the first seed; null: all."""
