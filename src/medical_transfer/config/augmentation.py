"""What a training image may look like, and under which mirror images it means the same."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Literal

from pydantic import Field

from medical_transfer.config.base import Block

Policy = Literal["none", "gentle", "flips", "mirrored", "chapter", "textured"]

Symmetry = Literal["left_right", "up_down", "half_turn"]
"""A mirror image: left and right exchanged, top and bottom, or both."""

SYMMETRIES: Mapping[Policy, tuple[Symmetry, ...]] = MappingProxyType(
    {
        "none": (),
        "gentle": (),
        "flips": ("left_right", "up_down", "half_turn"),
        "mirrored": ("left_right", "up_down", "half_turn"),
        "chapter": ("left_right",),
        "textured": (),
    }
)
"""The mirror images that a policy shows to the network as examples of the same class."""


class Augmentation(Block):
    """A policy by name, and how many views of each image are cached."""

    policy: Policy = "flips"
    """`gentle`: small moves; `flips`: mirror images; `mirrored`: both; `chapter`: crop, flip, rotation, jitter;
    `textured`: small moves on random grounds, inverted and coloured (digits and other plain shapes)."""
    views: int = Field(default=4, ge=1, le=64)
    """Augmented views per training image where the frozen part of the network is computed once."""
    average_mirrored: bool = True
    """A prediction is the mean over an image and the mirror images that the policy calls alike (`gentle`: none)."""

    @property
    def symmetries(self) -> tuple[Symmetry, ...]:
        """Mirror images over which predictions are averaged, beside the image itself."""
        return SYMMETRIES[self.policy] if self.average_mirrored else ()
