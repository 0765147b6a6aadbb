"""From exported graphs to predictions tables, in the form of `predict`."""

from __future__ import annotations

import pandas as pd

from medical_transfer.data.cache import ImageCache
from medical_transfer.evaluation.predict import KEPT_COLUMNS, predictions_table
from medical_transfer.models.card import ModelCard
from medical_transfer.models.exported import GRAPH_FILES, ExportedModel
from medical_transfer.models.shipped_graph import open_shipped

SPLITS = ("val", "test")


def predict_by_graphs(model: ExportedModel, card: ModelCard, manifest: pd.DataFrame, cache: ImageCache) -> pd.DataFrame:
    """Probabilities and decisions for the usable validation and test rows by each graph.

    Args:
        model: both graphs.
        card: of the model that they were made from.
        manifest: rows of the images.
        cache: their pixels.

    Returns:
        The rows of the manifest once for each graph, with its name in `engine`; training rows have nulls.

    Raises:
        UserError: where a graph was changed since it was exported, or the pixels have another size.
    """
    used = ((manifest["status"] == "ok") & manifest["split"].isin(SPLITS)).to_numpy(dtype=bool)
    pixels_nSS3 = cache.pixels_NSS3[cache.slots(manifest.loc[used, "image_id"])]
    tables = []
    for engine in GRAPH_FILES:
        graph = open_shipped(model.graph(engine))
        table = predictions_table(manifest[KEPT_COLUMNS], used, graph.probabilities(pixels_nSS3), card)
        tables.append(table.assign(engine=engine))
    return pd.concat(tables, ignore_index=True)
