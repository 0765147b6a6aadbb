"""A new batch of images beside those on which a finished model was judged."""

from __future__ import annotations

from pydantic import Field

from medical_transfer.config.predict import Predict


class Drift(Predict):
    """New images, without labels, compared with what a finished model saw."""

    max_images: int = Field(default=1000, ge=10)
    """So many of the new images at most, drawn by the seed."""
    permutations: int = Field(default=499, ge=99)
    """Random exchanges of whole patients behind each p-value."""
