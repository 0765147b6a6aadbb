"""How images are grouped and divided."""

from __future__ import annotations

from typing import Self

from pydantic import Field, model_validator

from medical_transfer.config.base import Block


class SplitConfig(Block):
    """Leak-proof split: given groups, then near-duplicates, then a stratified draw of whole groups."""

    val_fraction: float = Field(default=0.15, gt=0, lt=1)
    test_fraction: float = Field(default=0.15, gt=0, lt=1)
    near_duplicates: bool = True
    """Images that look alike are kept in one group, whatever their names."""
    hash_distance: int = Field(default=4, ge=0, le=16)
    """Perceptual hashes (64 bit) that differ in at most so many bits are candidates."""
    pixel_correlation: float = Field(default=0.55, ge=-1, le=1)
    """A candidate pair is kept together where the local contrast of its small grey pictures correlates at least so."""
    mirrored_copies: bool = True
    """Look for mirrored copies too: sets that were enlarged by flips leak through them, unseen by an upright hash."""
    strict: bool = False
    """Stop where given splits share a group, instead of excluding the training rows that do."""

    @model_validator(mode="after")
    def _something_is_left_to_train_on(self) -> Self:
        if self.val_fraction + self.test_fraction >= 1:
            total = self.val_fraction + self.test_fraction
            raise ValueError(f"val_fraction + test_fraction = {total:g} leaves nothing to train on: keep it below 1")
        return self
