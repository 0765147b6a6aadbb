"""From a checkpoint to the predictions table, the waist of the house: nothing after it needs torch."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from medical_transfer.data.cache import ImageCache
from medical_transfer.metrics.calibration import apply_temperature
from medical_transfer.metrics.thresholds import decide
from medical_transfer.models.card import ModelCard, TrainedModel
from medical_transfer.models.checkpoint import load_checkpoint
from medical_transfer.models.inference import predict_logits
from medical_transfer.types import SPLITS, Split, UserError

KEPT_COLUMNS = ["image_id", "path", "group_id", "site", "split", "label"]


def predict_manifest(
    model: TrainedModel, manifest: pd.DataFrame, cache: ImageCache, splits: Sequence[Split] = SPLITS
) -> pd.DataFrame:
    """Calibrated probabilities and decisions for every usable row of a manifest that is in one of `splits`.

    Returns:
        One row per row of the manifest: `image_id, path, group_id, site, split, label, predicted, p_<class>...,
        decision`. Rows that are quarantined or in no such split have nulls; `decision` is null for more than two
        classes.

    Raises:
        UserError: where the images were decoded at another size or fit than the model was trained on.
    """
    classifier, card = load_checkpoint(model.folder)
    _check_pixels(card, cache)
    used = ((manifest["status"] == "ok") & manifest["split"].isin(splits)).to_numpy(dtype=bool)
    slots_n = cache.slots(manifest.loc[used, "image_id"])
    logits_nC = predict_logits(classifier, cache.pixels_NSS3, slots_n, card.symmetries)
    return predictions_table(manifest[KEPT_COLUMNS], used, apply_temperature(logits_nC, card.temperature), card)


def predictions_table(
    rows: pd.DataFrame, used_N: NDArray[np.bool_], probabilities_nC: NDArray[np.float64], card: ModelCard
) -> pd.DataFrame:
    """Put the probabilities of the used rows beside all rows, with the most probable class and the decision."""
    table = rows.reset_index(drop=True).copy()
    names = np.array(card.classes, dtype=object)
    table["predicted"] = _words(used_N, names[probabilities_nC.argmax(axis=1)])
    for column, name in enumerate(card.classes):
        table[f"p_{name}"] = _numbers(used_N, probabilities_nC[:, column])
    if card.threshold is None or card.positive_class is None:
        table["decision"] = pd.Series(pd.NA, index=table.index, dtype="string")
        return table
    decided_n = decide(probabilities_nC, card.threshold, card.classes.index(card.positive_class))
    table["decision"] = _words(used_N, names[decided_n])
    return table


def _numbers(used_N: NDArray[np.bool_], values_n: NDArray[np.float64]) -> NDArray[np.float64]:
    column_N = np.full(len(used_N), np.nan)
    column_N[used_N] = values_n
    return column_N


def _words(used_N: NDArray[np.bool_], values_n: NDArray[np.object_]) -> pd.Series[str]:
    column_N = np.full(len(used_N), None, dtype=object)
    column_N[used_N] = values_n
    return pd.Series(column_N, dtype="string")


def _check_pixels(card: ModelCard, cache: ImageCache) -> None:
    found = (cache.meta["size"], cache.meta["fit"])
    if found != (card.size, card.fit):
        raise UserError(
            f"The images were decoded at {found[0]} px, fit '{found[1]}', but the model was trained at {card.size} px, "
            f"fit '{card.fit}': set images.size and images.fit to the model's."
        )
