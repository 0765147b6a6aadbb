"""Which methods of adaptation are set beside one another, and how one of them is chosen without labels."""

from __future__ import annotations

from typing import Literal, Self

from pydantic import Field, model_validator

from medical_transfer.config.base import Block

Kind = Literal["dann", "cdan", "mmd", "jmmd", "coral", "mcd", "self_training", "dann_self_training"]


class MedicalAdaptation(Block):
    """The pipeline `medical_adaptation`: no adaptation and some methods of it, side by side."""

    methods: list[Kind] = Field(default=["dann", "mmd", "coral", "self_training"], min_length=1)
    """Values of `training.kind` that are tried beside training on the first site alone."""
    choose_by: Literal["im", "entropy", "snd", "bnm"] = "im"
    """What picks the method, without labels, on validation images of the second site: scores as
    `training.adaptation.selection` names them. No adaptation is among the choices."""
    invariance_images: int = Field(default=500, ge=4)
    """So many validation images of each site at most are told apart by a fresh classifier."""

    @model_validator(mode="after")
    def _each_once(self) -> Self:
        if len(set(self.methods)) < len(self.methods):
            raise ValueError(f"medical_adaptation.methods is {self.methods}: name each once")
        return self
