"""The models that are set side by side: where each lies, and whether the second site's labels allow a bound."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from medical_transfer.data.dataset import class_names
from medical_transfer.data.manifest import readable, usable_rows
from medical_transfer.evaluation.label_free import SOURCE_ONLY, best_by, undefined
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


def beside_plain(choice: Mapping[str, Any]) -> str:
    """What is shown beside no adaptation: the chosen one, or the next by the same score where that is no adaptation."""
    if choice["chosen"] != SOURCE_ONLY:
        return str(choice["chosen"])
    return best_by({name: scores for name, scores in choice["scores"].items() if name != SOURCE_ONLY}, choice["by"])


def cost_of_choosing(measured: Mapping[str, Mapping[str, Any]], choice: Mapping[str, Any]) -> dict[str, Any]:
    """What labels say of the choice: the best method by test AUROC, the gap to it, and both for each other score."""
    aurocs = {name: found["test"]["auroc"]["estimate"] for name, found in measured.items() if name != ORACLE}
    known = {name: value for name, value in aurocs.items() if not undefined(value)}
    best = max(known, key=lambda name: known[name], default=None)

    def judged(name: str) -> dict[str, Any]:
        value = known.get(name)
        gap = known[best] - value if best is not None and value is not None else None
        return {"chosen": name, "auroc": value, "gap": gap}

    scores = choice["scores"]
    by_score = {score: judged(best_by(scores, score)) for score in next(iter(scores.values()))}
    chosen = judged(choice["chosen"])
    return {"chosen": choice["chosen"], "best_by_labels": best, "gap": chosen["gap"], "choices": by_score}


__all__ = [
    "ORACLE",
    "SOURCE_ONLY",
    "TASK",
    "beside_plain",
    "cost_of_choosing",
    "models_of",
    "prior_of",
    "why_no_oracle",
]
