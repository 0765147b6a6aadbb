"""Which test images are explained: the most confident ones to look at, and some drawn by chance to measure on."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd

from medical_transfer.types import UserError

KEPT = ["image_id", "group_id", "label", "said", "said_number", "confidence", "right", "shown", "measured"]


def choose(
    predictions: pd.DataFrame, classes: Sequence[str], *, examples: int, measured: int, rng: np.random.Generator
) -> pd.DataFrame:
    """Rows of the test images that are explained: first those that are shown, by class, wrong ones before right ones.

    No patient is shown twice of one class, right or wrong, and none is measured twice. An image may be both.

    Args:
        predictions: `medical_transfer.evaluation.predict.predictions_table`.
        classes: names in the order of the logits.
        examples: shown of each class, right and wrong.
        measured: images drawn from all test images.
        rng: draws them.

    Returns:
        `image_id, group_id, label, said` (the decided class), `said_number, confidence` (its calibrated probability),
        `right, shown, measured`.

    Raises:
        UserError: test images of fewer than two patients were predicted.
    """
    decided = _decided(predictions, classes)
    if decided["group_id"].nunique() < 2:
        raise UserError(
            f"The test split has predictions of {len(decided)} images in {decided['group_id'].nunique()} groups: maps "
            "are tested on two or more. Give the test split more images (split.test)."
        )
    cells = decided.sort_values("confidence", ascending=False, kind="stable").drop_duplicates(
        ["label", "right", "group_id"]
    )
    places = {name: number for number, name in enumerate(classes)}
    shown = cells.groupby(["label", "right"], sort=False).head(examples)
    shown = shown.iloc[np.lexsort((-shown["confidence"], shown["right"], shown["label"].map(places)))]
    drawn = decided.iloc[rng.permutation(len(decided))].drop_duplicates("group_id").head(measured)
    rows = pd.concat([shown, drawn]).drop_duplicates("image_id")
    for name, chosen in (("shown", shown), ("measured", drawn)):
        rows[name] = rows["image_id"].isin(chosen["image_id"])
    return rows[KEPT].reset_index(drop=True)


def _decided(predictions: pd.DataFrame, classes: Sequence[str]) -> pd.DataFrame:
    """Test images with a prediction, what was decided, and how sure the model was."""
    columns = [f"p_{name}" for name in classes]
    rows = predictions[(predictions["split"] == "test") & predictions[columns[0]].notna()].copy()
    rows["said"] = rows["decision"].fillna(rows["predicted"])
    number_N = rows["said"].map({name: code for code, name in enumerate(classes)}).to_numpy(dtype=np.int64)
    rows["said_number"] = number_N
    rows["confidence"] = rows[columns].to_numpy(dtype=np.float64)[np.arange(len(rows)), number_N]
    rows["right"] = rows["said"] == rows["label"]
    return rows
