"""What the study of adaptation calls its methods, settings and numbers, in its table and in its words."""

from __future__ import annotations

NAME = "adaptation"
HEADLINE = "methods"
"""Setting of the trials that compare methods."""
TARGET_ACCURACY, SOURCE_ACCURACY, DISTANCE = "target_accuracy", "accuracy", "a_distance"
NAMES: dict[str, str] = {
    "source_only": "source only",
    "source_textured": "source only, random grounds",
    "dann": "DANN",
    "dann_textured": "DANN, random grounds",
    "mmd": "MMD",
    "coral": "Deep CORAL",
    "cdan": "CDAN+E",
    "self_training": "self-training (AdaMatch)",
    "best": "DANN + pseudo-labels, random grounds",
}
"""Methods as people call them."""
DANN_ALPHA = 1.0
"""Strength of the reversal where DANN is compared with other methods."""
SCORE_NAMES: dict[str, str] = {
    "im": "information maximisation",
    "entropy": "negative entropy",
    "snd": "soft neighbourhood density",
    "bnm": "batch nuclear norm",
}
"""Label-free scores as people call them."""


def sweep_setting(alpha: float) -> str:
    """Setting of a trial of the sweep."""
    return f"alpha {alpha:g}"


def alpha_of(setting: str) -> float | None:
    """Its alpha; None where a setting is not one of the sweep."""
    return float(setting.removeprefix("alpha ")) if setting.startswith("alpha ") else None


def of_epoch(epoch: int, metric: str) -> str:
    """Name of a number of one epoch, counted from 1, on the target."""
    return f"epoch_{epoch:02d}_{metric}"
