"""What `images.kind=dicom` needs to know beyond the files: which window, which modalities, what a group is."""

from __future__ import annotations

from pathlib import Path
from typing import Literal, Self

from pydantic import Field, model_validator

from medical_transfer.config.base import Block, UserPath


class Dicom(Block):
    """How DICOM files are shown, which are taken, and how their identifiers are hidden."""

    window_center: float | None = None
    """Centre of one window for all images, in the units of the modality (CT: Hounsfield); null: each file's own
    window or table of values of interest."""
    window_width: float | None = Field(default=None, ge=1)
    """Width of that window; null: each file's own."""
    modalities: list[str] = Field(default=[])
    """Modalities that are taken (`CT`, `MR`, `DX`...); files of others are quarantined. Empty: all."""
    group: Literal["patient", "study", "series"] = "patient"
    """What stays together in a split. Where a file does not tell it, the next finer one; `study` for files whose
    patient ids were all replaced by one word."""
    burned_in: Literal["quarantine", "allow"] = "quarantine"
    """Files that say that identifying text stands in their pixels: quarantined, since the report shows pictures."""
    salt: UserPath = Path("conf/local/dicom_salt")
    """Secret file, relative to the project, that makes hashes of patients and paths irreversible; made at first use.
    Whoever has it can find patients again: never commit or send it along. With another one groups, and so splits,
    are others."""

    @model_validator(mode="after")
    def _a_window_has_two_numbers(self) -> Self:
        if (self.window_center is None) != (self.window_width is None):
            raise ValueError("a window has a window_center and a window_width: give both, or none of them")
        return self

    @property
    def window(self) -> tuple[float, float] | None:
        """Centre and width, where one window holds for all."""
        if self.window_center is None or self.window_width is None:
            return None
        return self.window_center, self.window_width
