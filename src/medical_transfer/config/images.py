"""Where the images are, what their classes are called and how their pixels are read."""

from __future__ import annotations

import re
from typing import Any, ClassVar, Literal, Self

from pydantic import Field, field_validator, model_validator

from medical_transfer.config.base import Block, UserPath
from medical_transfer.config.dicom import Dicom

SixteenBit = Literal["quarantine", "full", "image"] | tuple[float, float]


def words(value: Any) -> Any:
    """Class names as YAML gives them: numbers become text.

    Raises:
        ValueError: a name was read as true or false.
    """
    if isinstance(value, dict):
        return {words(found): words(used) for found, used in value.items()}
    if isinstance(value, bool):
        raise ValueError(f"YAML reads yes and no as true and false: put the class name in quotes (found {value})")  # noqa: TRY004 - pydantic takes ValueErrors
    return str(value) if isinstance(value, int) else value


def checked_pattern(pattern: str | None) -> str | None:
    """A regular expression that has a group for the patient.

    Raises:
        ValueError: it is none, or has no group.
    """
    if pattern is not None:
        try:
            groups = re.compile(pattern).groups
        except re.error as error:
            raise ValueError(f"{pattern!r} is no regular expression: {error}") from error
        if groups < 1:
            raise ValueError(f"{pattern!r} has no group: put the patient's part in parentheses, e.g. 'person(\\d+)'")
    return pattern


def checked_range(rule: SixteenBit) -> SixteenBit:
    """A rule for 16 bits whose range, where it is one, rises.

    Raises:
        ValueError: it does not.
    """
    if isinstance(rule, tuple) and rule[0] >= rule[1]:
        raise ValueError(f"[{rule[0]:g}, {rule[1]:g}] is no range: the first number must be below the second")
    return rule


class Images(Block):
    """One set of images. One flat model: a kind is a value, so `--params=images.kind=...` works."""

    block: ClassVar[str] = "images"

    kind: Literal["packaged", "folder", "table", "dicom", "npz", "omniglot", "none"] = "packaged"
    """`packaged`: the built-in sample; `folder`: class sub-folders; `table`: names files; `dicom`: DICOM files below
    `root`, named by `table`; `npz`: MedMNIST's layout; `omniglot`: characters as packed bits."""
    root: UserPath | None = None
    """Folder of the images (`folder`, `table`, `dicom`) or npz file (`npz`, `omniglot`); `~` is your home folder."""
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
    sixteen_bit: SixteenBit = "quarantine"
    """How more than 8 bits become 8: 0..65535 (`full`), each image's own range (`image`) or a fixed [low, high].
    There is no safe guess: by default such an image is quarantined with a reason."""
    min_side: int = Field(default=8, ge=1)
    """Images with a side of fewer pixels are quarantined: nothing can be seen in them."""
    max_pixels: int = Field(default=64_000_000, ge=1)
    """A header that promises more pixels than this is quarantined before it is decoded."""
    workers: int | None = Field(default=None, ge=1)
    """Threads that decode; null: one per core."""
    limit: int | None = Field(default=None, ge=4)
    """Use only so many images, drawn evenly over classes by the seed (a quick look; null: all)."""
    dicom: Dicom = Dicom()
    """How DICOM files are read (`dicom`)."""

    @field_validator("classes", "positive_class", mode="before")
    @classmethod
    def _names_are_words(cls, value: Any) -> Any:
        return words(value)

    @field_validator("group_pattern")
    @classmethod
    def _pattern_has_a_group(cls, pattern: str | None) -> str | None:
        return checked_pattern(pattern)

    @field_validator("sixteen_bit")
    @classmethod
    def _range_rises(cls, rule: SixteenBit) -> SixteenBit:
        return checked_range(rule)

    @model_validator(mode="after")
    def _kind_has_its_place(self) -> Self:
        roots = ("folder", "npz", "omniglot", "dicom")
        needed = {**dict.fromkeys(roots, self.root), "table": self.table}
        if self.kind in needed and needed[self.kind] is None:
            name = "table" if self.kind == "table" else "root"
            place = f"{self.block}.kind={self.kind} needs {self.block}.{name}"
            raise ValueError(f"{place}: set it to the path of your images")
        if self.kind == "dicom" and (self.group_pattern is not None or self.group_block is not None):
            raise ValueError(
                f"{self.block}.kind=dicom reads groups from the files and hides their names: leave group_pattern and "
                f"group_block out, and see {self.block}.dicom.group"
            )
        return self


class TargetImages(Images):
    """A second site: the same block, by default absent."""

    block: ClassVar[str] = "target_images"

    kind: Literal["packaged", "folder", "table", "dicom", "npz", "omniglot", "none"] = "none"
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
    dicom: Dicom = Dicom()
    """How DICOM files are read; where nothing of it is set here, as in `images`."""

    def beside(self, images: Images) -> Self:
        """This block with `size`, `fit`, `workers` and `dicom` of the first site where it does not set them itself."""
        unset = {"size", "fit", "workers", "dicom"} - self.model_fields_set
        return self.model_copy(update={name: getattr(images, name) for name in unset})
