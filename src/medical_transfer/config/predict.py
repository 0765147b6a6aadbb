"""New images for a finished model: where they are, how they are read, and when the model abstains."""

from __future__ import annotations

from typing import Literal

from pydantic import Field, field_validator

from medical_transfer.config.base import Block, UserPath
from medical_transfer.config.dicom import Dicom
from medical_transfer.config.images import SixteenBit, checked_pattern, checked_range

NewKind = Literal["folder", "table", "dicom", "npz"]
NoveltyName = Literal["mahalanobis", "nearest", "none"]


class Predict(Block):
    """Prediction on new images by a finished model. How they become square is the model's, not a parameter."""

    images: UserPath | None = None
    """A folder (searched with all its sub-folders; of DICOM files, where it holds any .dcm), a CSV or Parquet table
    with a column `path`, or an npz file."""
    model: UserPath | None = None
    """Folder of the model, `data/06_models/<task>/<key>`; null: the fine-tuned model of this run_root."""
    kind: NewKind | None = None
    """How `images` is read; null: as its path tells."""
    root: UserPath | None = None
    """Folder that the paths of a table are relative to; null: the table's own. With `kind: dicom` and a table it is the
    folder of the DICOM files."""
    group_pattern: str | None = None
    """Regular expression searched in the file name; its first group is the patient."""
    group_block: int | None = Field(default=None, ge=1)
    """So many neighbouring numbers in file names (slices of one scan) are one group."""
    sixteen_bit: SixteenBit | None = None
    """How more than 8 bits become 8; null: as in the model's training."""
    dicom: Dicom | None = None
    """How DICOM files are read; null: as in the model's training, with the salt of this project."""
    min_side: int = Field(default=8, ge=1)
    """Images with a side of fewer pixels are refused: nothing can be seen in them."""
    max_pixels: int = Field(default=64_000_000, ge=1)
    """A header that promises more pixels than this is refused before it is decoded."""
    workers: int | None = Field(default=None, ge=1)
    """Threads that decode; null: one per core."""
    part_images: int = Field(default=2048, ge=1)
    """So many images are predicted between two writes to disk; a killed run goes on after the last one."""
    novelty: NoveltyName = "mahalanobis"
    """By what an image counts as unlike the training images; `none`: the model never abstains."""
    false_abstain: float = Field(default=0.05, gt=0, lt=1)
    """Share of images like the validation images on which the model may abstain."""

    @field_validator("group_pattern")
    @classmethod
    def _pattern_has_a_group(cls, pattern: str | None) -> str | None:
        return checked_pattern(pattern)

    @field_validator("sixteen_bit")
    @classmethod
    def _range_rises(cls, rule: SixteenBit | None) -> SixteenBit | None:
        return None if rule is None else checked_range(rule)
