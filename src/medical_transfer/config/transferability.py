"""Which pretrained sources compete, and what decides."""

from __future__ import annotations

from pathlib import Path
from typing import Literal, Self

from pydantic import Field, model_validator

from medical_transfer.config.base import Block, UserPath

ScoreName = Literal[
    "linear_probe",
    "logme",
    "sfda",
    "nleep",
    "leep",
    "h_score",
    "parc",
    "gbc",
    "spearman_mmd",
    "rdm_spearman_mmd",
    "parameters",
    "source_accuracy",
]


ALWAYS = "always_the_same"
"""The baseline that takes the first listed source everywhere: what is done where no score is trusted."""

DecideBy = Literal["auto", "none", ScoreName]


class Transferability(Block):
    """Scores of pretrained sources on the training split; the best-supported score picks the one to build."""

    sources: list[str] = Field(
        default=["efficientnet_lite0", "efficientnet_lite1", "efficientnet_lite2", "random"], min_length=1
    )
    """Names from the registry of backbones; `random` is the untrained control, `a+b` is the features of the sources a
    and b side by side, which competes where `model.freeze` is `all`."""
    fuse: int = Field(default=1, ge=1, le=10)
    """The so many best sources by their linear probe, side by side, compete as one more; 1: none."""
    chosen: str | None = None
    """Take this source whatever the scores say; null: the one that `decide_by` says."""
    decide_by: DecideBy = "auto"
    """The score that picks the source: `auto`, the one that `agreement` supports best, or none where it supports none;
    `none`: the first of `sources`. Of the linear probe the one with the fewest parameters within one standard error of
    the best is taken; of any other score the highest."""
    agreement: UserPath | None = Path("docs/studies/transferability/agreement.json")
    """What a study found of the scores (`study_transferability` writes it), below the project unless absolute; null:
    none, and the linear probe decides."""
    folds: int = Field(default=5, ge=2, le=20)
    """Folds of the linear probe; whole groups stay together."""
    max_images: int = Field(default=3000, ge=20)
    """Score on at most so many training images (drawn evenly over classes by the seed)."""

    @model_validator(mode="after")
    def _chosen_is_a_source(self) -> Self:
        twice = sorted({name for name in self.sources if self.sources.count(name) > 1})
        if twice:
            raise ValueError(f"transferability.sources names {', '.join(twice)} twice: name each source once")
        if self.chosen is not None and self.chosen not in self.sources:
            names = ", ".join(self.sources)
            raise ValueError(f"transferability.chosen is {self.chosen!r}; the sources are {names}: name one of them")
        return self
