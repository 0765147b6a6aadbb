"""Which pretrained sources compete, and what decides."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from medical_transfer.config.base import Block

ScoreName = Literal[
    "linear_probe",
    "logme",
    "h_score",
    "spearman_mmd",
    "rdm_spearman_mmd",
    "parameters",
    "source_accuracy",
]


class Transferability(Block):
    """Scores of pretrained sources on the training split; the cross-validated linear probe picks the one to build."""

    sources: list[str] = Field(
        default=["efficientnet_lite0", "efficientnet_lite1", "efficientnet_lite2", "random"], min_length=1
    )
    """Names from the registry of backbones; `random` is the untrained control."""
    chosen: str | None = None
    """Take this source whatever the scores say; null: the one with the fewest parameters within one standard error
    of the best cross-validated linear probe."""
    folds: int = Field(default=5, ge=2, le=20)
    """Folds of the linear probe; whole groups stay together."""
    max_images: int = Field(default=3000, ge=20)
    """Score on at most so many training images (drawn evenly over classes by the seed)."""
