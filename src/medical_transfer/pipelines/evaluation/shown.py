"""The predictions table in the forms that the figures take."""

from __future__ import annotations

import numpy as np
import pandas as pd

from medical_transfer.metrics.calibration import reliability
from medical_transfer.reporting.curves import Predicted


def predicted_splits(predictions: pd.DataFrame, classes: list[str]) -> dict[str, Predicted]:
    """Labels and probabilities of validation and test."""
    number = {name: code for code, name in enumerate(classes)}
    columns = [f"p_{name}" for name in classes]
    splits = {}
    for split in ("val", "test"):
        rows = predictions[(predictions["split"] == split) & predictions[columns[0]].notna()]
        labels_N = rows["label"].map(number).to_numpy(dtype=np.int64)
        splits[split] = Predicted(labels_N, rows[columns].to_numpy(dtype=np.float64))
    return splits


def reliability_tables(splits: dict[str, Predicted], bins: int) -> dict[str, pd.DataFrame]:
    """Bins of equal mass: mean stated probability, observed share and number of images."""
    tables = {}
    for split, scored in splits.items():
        found = reliability(scored.labels_N, scored.probabilities_NC, bins=bins)
        bins_of = {"confidence": found.probability_K, "observed": found.frequency_K, "count": found.count_K}
        tables[split] = pd.DataFrame(bins_of)
    return tables


def worst_errors(predictions: pd.DataFrame, classes: list[str], count: int) -> pd.DataFrame:
    """The most confident wrong decisions on the test images, worst first: `image_id` and `caption`."""
    columns = [f"p_{name}" for name in classes]
    test = predictions[(predictions["split"] == "test") & predictions[columns[0]].notna()]
    decided = test["decision"].fillna(test["predicted"])
    wrong = test[decided != test["label"]].copy()
    probability_NC = wrong[columns].to_numpy(dtype=np.float64)
    said_N = decided[wrong.index].map({name: code for code, name in enumerate(classes)}).to_numpy(dtype=np.int64)
    wrong["confidence"] = probability_NC[np.arange(len(wrong)), said_N] if len(wrong) else []
    wrong["caption"] = [
        f"is {label}\nsaid {classes[said]} ({confidence:.2f})"
        for label, said, confidence in zip(wrong["label"], said_N, wrong["confidence"], strict=True)
    ]
    return wrong.sort_values("confidence", ascending=False, kind="stable").head(count)[["image_id", "caption"]]
