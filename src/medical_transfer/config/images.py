"""Where the images are, what their classes are called and how their pixels are read."""

from __future__ import annotations

import re
from typing import Any, ClassVar, Literal, Self

from pydantic import Field, field_validator, model_validator

from medical_transfer.config.base import Block, UserPath


class Images(Block):
    """One set of images. One flat model: a kind is a value, so `--params=images.kind=...` works."""

    block: ClassVar[str] = "images"

    kind: Literal["packaged", "folder", "table", "npz", "omniglot", "none"] = "packaged"
    """`packaged`: the built-in sample; `folder`: class sub-folders; `table`: names files; `npz`: MedMNIST's layout;
    `omniglot`: characters as packed bits."""
    root: UserPath | None = None
    """Folder of the images (`folder`, `table`) or the npz file (`npz`, `omniglot`); `~` is your home folder."""
    table: UserPath | None = None
    """CSV or Parquet file with columns `path,label` and optionally `group,split,site`; others become subgroups."""
    classes: dict[str, str | None] = Field(default={})
    """Found class name -> used name, or null to drop the class. Empty: names are used as found."""
    positive_class: str | None = None
    """The class whose probability is 'the' probability where there are two; null: the last in sorted order."""
    group_pattern: str | None = None
    """Regular expression searched in the file name; its first group is the patient."""
    group_block: int | None = Field(default=None, ge=1)
    """So many neighbouring numbers in file names (slices of one scan) are one group, in each series by itself:
    names of one folder that begin alike."""
    site: str | None = None
    """Name of the site where the table has no column `site`."""
    licence: str = "unknown"
    """Licence of the images, for the model card."""

    size: int = Field(default=160, ge=16, le=2048)
    """Side in pixels at which images are decoded, cached and trained on."""
    fit: Literal["squash", "pad"] = "squash"
    """How an oblong image becomes square: stretched, or padded with black."""
    sixteen_bit: Literal["quarantine", "full", "image"] | tuple[float, float] = "quarantine"
    """How more than 8 bits become 8: 0..65535 (`full`), each image's own range (`image`) or a fixed [low, high].
    There is no safe guess: by default such an image is quarantined with a reason."""
    max_pixels: int = Field(default=64_000_000, ge=1)
    """A header that promises more pixels than this is quarantined before it is decoded."""
    workers: int | None = Field(default=None, ge=1)
    """Threads that decode; null: one per core."""
    limit: int | None = Field(default=None, ge=4)
    """Use only so many images, drawn evenly over classes by the seed (a quick look; null: all)."""

    @field_validator("classes", "positive_class", mode="before")
    @classmethod
    def _names_are_words(cls, value: Any) -> Any:
        if isinstance(value, dict):
            return {cls._names_are_words(found): cls._names_are_words(used) for found, used in value.items()}
        if isinstance(value, bool):
            raise ValueError(f"YAML reads yes and no as true and false: put the class name in quotes (found {value})")  # noqa: TRY004 - pydantic takes ValueErrors
        return str(value) if isinstance(value, int) else value

    @field_validator("group_pattern")
    @classmethod
    def _pattern_has_a_group(cls, pattern: str | None) -> str | None:
        if pattern is not None:
            try:
                groups = re.compile(pattern).groups
            except re.error as error:
                raise ValueError(f"{pattern!r} is no regular expression: {error}") from error
            if groups < 1:
                raise ValueError(
                    f"{pattern!r} has no group: put the patient's part in parentheses, e.g. 'person(\\d+)'"
                )
        return pattern

    @field_validator("sixteen_bit")
    @classmethod
    def _range_rises(cls, rule: str | tuple[float, float]) -> str | tuple[float, float]:
        if isinstance(rule, tuple) and rule[0] >= rule[1]:
            raise ValueError(f"[{rule[0]:g}, {rule[1]:g}] is no range: the first number must be below the second")
        return rule

    @model_validator(mode="after")
    def _kind_has_its_place(self) -> Self:
        needed = {"folder": self.root, "npz": self.root, "omniglot": self.root, "table": self.table}
        if self.kind in needed and needed[self.kind] is None:
            name = "table" if self.kind == "table" else "root"
            place = f"{self.block}.kind={self.kind} needs {self.block}.{name}"
            raise ValueError(f"{place}: set it to the path of your images")
        return self


class TargetImages(Images):
    """A second site: the same block, by default absent."""

    block: ClassVar[str] = "target_images"

    kind: Literal["packaged", "folder", "table", "npz", "omniglot", "none"] = "none"
    """As for `images`; `none`: there is no second site."""
    classes: dict[str, str | None] = Field(default={})
    """Found class name -> name of a class of `images`, or null to drop the class. Images may also have no label."""
    positive_class: str | None = None
    """Not read here: that of `images` holds for both sites."""
    size: int = Field(default=160, ge=16, le=2048)
    """Side in pixels; where it is not set here, that of `images`."""
    fit: Literal["squash", "pad"] = "squash"
    """How an oblong image becomes square; where it is not set here, as in `images`."""
    workers: int | None = Field(default=None, ge=1)
    """Threads that decode; where it is not set here, as in `images`."""
    strict_unlabelled: bool = False
    """Drop all labels of this site at the door, as if it had none: nothing can read them, not even the evaluation, and
    `classes` then leaves no image out."""

    def beside(self, images: Images) -> Self:
        """This block with `size`, `fit` and `workers` of the first site where it does not set them itself."""
        unset = {"size", "fit", "workers"} - self.model_fields_set
        return self.model_copy(update={name: getattr(images, name) for name in unset})
