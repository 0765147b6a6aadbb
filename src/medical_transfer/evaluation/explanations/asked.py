"""What is asked of explanations, checked before anything is computed. Imports no torch."""

from __future__ import annotations

from medical_transfer.config.explain import Explain
from medical_transfer.models.card import CARD_FILE
from medical_transfer.runtime.provenance import in_project
from medical_transfer.types import UserError


def check_asked(explain: Explain, size: int) -> None:
    """Check the folder of a model that is named, and the patch beside an image of `size` pixels.

    Raises:
        UserError: there is no model, the patch is larger than the image, or its stride is larger than it.
    """
    if explain.model is not None and not (in_project(explain.model) / CARD_FILE).is_file():
        raise UserError(
            f"explain.model is {explain.model}, which holds no model ({CARD_FILE} is missing): name the folder of a "
            "model, data/06_models/<task>/<key>."
        )
    patch, stride = explain.occlusion.sides(size)
    if patch > size:
        raise UserError(
            f"explain.occlusion.patch is {patch}, but images are {size} px wide (images.size): take a smaller patch."
        )
    if stride > patch:
        raise UserError(
            f"explain.occlusion.stride is {stride}, above the patch of {patch} px, so pixels between would never be "
            "hidden: take a smaller stride."
        )
