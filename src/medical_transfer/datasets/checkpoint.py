"""The catalog's way to trained models: a folder with its card; opening it imports no torch."""

from __future__ import annotations

from pathlib import Path

from medical_transfer.datasets.pointer import PointerDataset
from medical_transfer.models.card import TrainedModel


class CheckpointDataset(PointerDataset[TrainedModel]):
    """The current `TrainedModel`."""

    def _open(self, folder: Path) -> TrainedModel:
        return TrainedModel(folder)
