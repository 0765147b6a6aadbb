"""How many images of each class a classifier is made from, and how it is judged."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from medical_transfer.config.base import Block


class MedicalFewShot(Block):
    """The pipeline `medical_few_shot`: a classifier from a few images of each class."""

    shots: int = Field(default=5, ge=1)
    """Images of each class to learn from."""
    queries: int = Field(default=10, ge=1)
    """Images of each class that an episode is judged on."""
    episodes: int = Field(default=600, ge=2)
    """So many episodes; fewer than 600 make the intervals wide."""
    classifier: Literal["auto", "nearest_centroid", "linear_probe"] = "auto"
    """What the saved model is; `auto`: the better one on episodes of training images."""
