"""The catalog's way to exported models: a folder with two graphs; opening it imports neither torch nor onnxruntime."""

from __future__ import annotations

from pathlib import Path

from medical_transfer.datasets.pointer import PointerDataset
from medical_transfer.models.exported import ExportedModel


class ExportedDataset(PointerDataset[ExportedModel]):
    """The current `ExportedModel`."""

    def _open(self, folder: Path) -> ExportedModel:
        return ExportedModel(folder)
