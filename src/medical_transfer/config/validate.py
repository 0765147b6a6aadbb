"""New labelled images for a finished model that stays as it is."""

from __future__ import annotations

from typing import Any

from pydantic import Field, field_validator

from medical_transfer.config.images import words
from medical_transfer.config.predict import Predict


class Validate(Predict):
    """A finished model on new labelled images: a table with a column `label`, class sub-folders, or an npz file."""

    classes: dict[str, str | None] = Field(default={})
    """Found class name -> a class of the model, or null to leave the class out."""

    @field_validator("classes", mode="before")
    @classmethod
    def _names_are_words(cls, value: Any) -> Any:
        return words(value)
