"""The network: its head and what of it may learn."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import Field, field_validator

from medical_transfer.config.base import Block

NOTHING_ADAPTS = (
    "Adaptation needs features that can move, but model.freeze=all leaves a linear head alone: set "
    "model.freeze=partial, or model.head=chapter_2_1, whose hidden layer then adapts; not with "
    "training.adaptation.align=trunk, which asks for a trunk that moves."
)
"""What is said where a method of adaptation has nothing to move."""


class Model(Block):
    """A pretrained trunk with a new head."""

    head: Literal["linear", "chapter_2_1", "chapter_3_2", "chapter_5_1", "dann_paper"] = "linear"
    """One linear layer; one of the chapter's heads (512 hidden units, with or without batch norm, and 256 in 3.2); or
    twice 100 hidden units (Ganin et al. 2016, figure 4a)."""
    dropout: float = Field(default=0.2, ge=0, lt=1)
    """Dropout before the linear head (the others have their own, or none)."""
    freeze: Literal["all", "partial", "none"] = "partial"
    """`all`: only the head learns, so that sources that exist only as a graph, and several side by side, compete too;
    `partial`: the last stages and the head; `none`: everything."""
    trainable_stages: int = Field(default=3, ge=1)
    """With `partial`: so many of the last stages of the trunk learn."""

    @field_validator("trainable_stages", mode="before")
    @classmethod
    def _some_stage_learns(cls, value: Any) -> Any:
        if value == 0:
            raise ValueError("0 would let no stage of the trunk learn; for the head alone set model.freeze=all")
        return value
