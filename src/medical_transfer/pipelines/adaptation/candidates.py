"""The models that are set side by side: where each lies, and whether the second site's labels allow a bound."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd

from medical_transfer.data.dataset import class_names
from medical_transfer.data.manifest import readable, usable_rows
from medical_transfer.evaluation.label_free import SOURCE_ONLY
from medical_transfer.models.card import TrainedModel

TASK = "adapted"
"""Folder of these models, and how files of the chosen one begin."""
ORACLE = "target_oracle"
"""The model that was trained on the second site's labels: a bound, never a choice."""


def models_of(keys: dict[str, str], models: Path) -> dict[str, TrainedModel]:
    """Method -> model, from their keys."""
    return {method: TrainedModel(models / TASK / key) for method, key in keys.items()}


def why_no_oracle(target_manifest: pd.DataFrame, classes: tuple[str, ...], *, strict: bool) -> str | None:
    """Why no model can be trained on the second site's labels; None where one can.

    `strict` says that its labels were dropped at the door (`target_images.strict_unlabelled`).
    """
    if strict:
        return "the second site's labels were dropped at the door (target_images.strict_unlabelled)"
    usable = target_manifest[usable_rows(target_manifest) & target_manifest["label"].notna().to_numpy()]
    if usable.empty:
        return "the second site has no labels"
    if class_names(target_manifest) != classes:
        return "the second site does not have all classes"
    for split in ("train", "val"):
        labels = set(usable.loc[usable["split"] == split, "label"])
        if missing := sorted(set(classes) - labels):
            return f"the second site's split '{split}' has no image of {', '.join(missing)}"
    return None


def prior_of(manifest: pd.DataFrame, classes: tuple[str, ...]) -> np.ndarray:
    """Share of each class among the training images."""
    labels = readable(manifest, "train")["label"]
    counts_C = np.array([(labels == name).sum() for name in classes], dtype=np.float64)
    return np.asarray(counts_C / counts_C.sum())


__all__ = ["ORACLE", "SOURCE_ONLY", "TASK", "models_of", "prior_of", "why_no_oracle"]
