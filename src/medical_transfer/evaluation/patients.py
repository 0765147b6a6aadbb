"""From images to patients: one probability, one decision, one label for each group of images.

A patient's probability is the mean of its images' calibrated ones, without images that could not be read or on which
the model abstained; the decision is taken at the images' frozen threshold. Shapes: G groups, C classes.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd

from medical_transfer.metrics.thresholds import decide


def by_patient(
    predictions: pd.DataFrame, classes: Sequence[str], positive: str | None, threshold: float | None
) -> pd.DataFrame:
    """One row per group of a predictions table; rows without a group are left out.

    A patient is of the positive class where any image is (one diseased slice is a diseased patient); of more than two
    classes its images must agree, else the patient has no label.

    Returns:
        `group_id, images, used, label, predicted, p_<class>..., decision`; probabilities and what follows from them
        are null where no image of the patient could be used.
    """
    columns = [f"p_{name}" for name in classes]
    grouped = predictions[predictions["group_id"].notna()].copy()
    unused = grouped[columns[0]].isna() | _abstained(grouped)
    grouped.loc[unused.to_numpy(dtype=bool), columns] = np.nan
    grouped["used"] = ~unused.to_numpy(dtype=bool)
    by_group = grouped.groupby("group_id", sort=True)
    table = by_group.agg(images=("image_id", "size"), used=("used", "sum")).reset_index()
    of_two = positive if len(classes) == 2 else None
    table["label"] = pd.Series([_label(found, of_two) for _, found in by_group["label"]], dtype="string")
    means_GC = by_group[columns].mean().to_numpy(dtype=np.float64)
    known_G = ~np.isnan(means_GC[:, 0])
    names = np.array(classes, dtype=object)
    table["predicted"] = _words(known_G, names[decide(means_GC[known_G])])
    table[columns] = means_GC
    if positive is None or threshold is None:
        return table.assign(decision=pd.Series([None] * len(table), dtype="string"))
    decided_g = decide(means_GC[known_G], threshold, list(classes).index(positive))
    return table.assign(decision=_words(known_G, names[decided_g]))


def _abstained(rows: pd.DataFrame) -> pd.Series[bool]:
    if "abstained" not in rows:
        return pd.Series(data=False, index=rows.index)
    return rows["abstained"].fillna(value=False).astype(bool)


def _label(found: pd.Series[str], positive: str | None) -> str | None:
    labels = set(found.dropna())
    if positive in labels:
        return positive
    return labels.pop() if len(labels) == 1 else None


def _words(known_G: np.ndarray, values_g: np.ndarray) -> pd.Series[str]:
    column_G = np.full(len(known_G), None, dtype=object)
    column_G[known_G] = values_g
    return pd.Series(column_G, dtype="string")
