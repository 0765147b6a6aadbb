"""What a training image may look like."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from medical_transfer.config.base import Block


class Augmentation(Block):
    """A policy by name, and how many views of each image are cached."""

    policy: Literal["none", "gentle", "mirrored", "chapter"] = "mirrored"
    """`gentle`: small moves without flips; `mirrored`: these and flips; `chapter`: crop, flip, rotation, jitter."""
    views: int = Field(default=4, ge=1, le=64)
    """Augmented views per training image where the frozen part of the network is computed once."""
