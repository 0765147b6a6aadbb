"""How far two sites are apart: under which backbone, on how many images, tested how often."""

from __future__ import annotations

from pydantic import Field

from medical_transfer.config.base import Block


class DomainDistance(Block):
    """Distances between the images of both sites under one backbone, each with a permutation test."""

    source: str | None = None
    """Name from the registry of backbones; null: the first of `transferability.sources`."""
    max_images: int = Field(default=1000, ge=20)
    """Compare at most so many images of each site, drawn by the seed whatever their labels."""
    permutations: int = Field(default=999, ge=99, le=99_999)
    """Random labels of whole groups for MMD and A-distance; the smallest p-value is 1 / (1 + permutations)."""
    frechet_permutations: int = Field(default=99, ge=99, le=99_999)
    """The same for the Frechet distance, of which each costs up to half a second."""
