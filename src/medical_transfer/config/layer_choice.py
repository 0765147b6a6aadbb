"""Which source's stages are scored by depth, and by what."""

from __future__ import annotations

from typing import Final, Self

from pydantic import Field, model_validator

from medical_transfer.config.base import Block
from medical_transfer.config.transferability import ScoreName

NEEDS_MORE: Final = ("spearman_mmd", "rdm_spearman_mmd", "parameters", "source_accuracy", "leep")
"""Scores that look at more than features and labels, or at nothing of a stage: no stage can be scored by them."""


class LayerChoice(Block):
    """Scores of every stage of one source on the training split, and where they suggest to cut it for `partial`."""

    source: str | None = None
    """The source whose stages are scored; null: the first of transferability.sources that is trained and has layers."""
    scores: list[ScoreName] = Field(default=["linear_probe", "logme", "h_score"])
    """Scores of each stage that need features and labels only; the linear probe is always computed and decides."""
    untrained: bool = True
    """Score the same architecture with random weights too: it shows what depth does without pretraining."""
    folds: int = Field(default=5, ge=2, le=20)
    """Folds of the linear probe; whole groups stay together."""
    max_images: int = Field(default=3000, ge=20)
    """Score on at most so many training images (drawn evenly over classes by the seed)."""

    @model_validator(mode="after")
    def _scores_fit_a_stage(self) -> Self:
        unfit = sorted(set(self.scores) & set(NEEDS_MORE))
        if unfit:
            raise ValueError(
                f"layer_choice.scores names {', '.join(unfit)}, which needs more than the features of one stage and "
                "labels: take it out"
            )
        return self
