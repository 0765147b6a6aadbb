"""Predictions that lie on disk beside the model which made them, to be found again by the model alone."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pandas as pd

from medical_transfer.models.card import ModelCard
from medical_transfer.runtime.files import read_json, write_json
from medical_transfer.runtime.stage import is_whole

TABLE_FILE = "predictions.parquet"
OWNER_FILE = "model_of_these.json"
MODELS, PREDICTIONS = "06_models", "07_model_output"


def keep(folder: Path, table: pd.DataFrame, card: ModelCard) -> None:
    """Write predictions with the checksum of the card of the model that made them."""
    table.to_parquet(folder / TABLE_FILE, index=False)
    write_json(folder / OWNER_FILE, {"card_sha256": card.card_sha256})


def find_kept(model_folder: Path, card: ModelCard, predictions_folder: Path) -> pd.DataFrame | None:
    """The predictions of a model on the images that it was trained and tested on, or null where none were kept.

    They are looked for below `predictions_folder` and, where the model lies in the folder of another run, there.
    """
    for folder in _results(model_folder, predictions_folder):
        if is_whole(folder) and read_json(folder / OWNER_FILE)["card_sha256"] == card.card_sha256:
            return pd.read_parquet(folder / TABLE_FILE)
    return None


def _results(model_folder: Path, predictions_folder: Path) -> Iterator[Path]:
    places = [predictions_folder]
    place = model_folder.resolve().parents
    if len(place) > 2 and place[1].name == MODELS:
        places.append(place[2] / PREDICTIONS)
    for root in places:
        yield from (owner.parent for owner in sorted(root.glob(f"*/*/{OWNER_FILE}")))
