"""Transfer learning for medical images: from a folder of images to a classifier that its team can defend."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from medical_transfer.evaluation.predictor import load as load

__version__ = "0.1.0"


def __getattr__(name: str) -> object:
    """`load`, imported when it is asked for: it brings torch, which most commands do without."""
    if name == "load":
        from medical_transfer.evaluation.predictor import load  # noqa: PLC0415

        return load
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
