"""The figures of the page of adaptation."""

from __future__ import annotations

import pandas as pd

from medical_transfer.pipelines.evaluation.shown import predicted_splits, reliability_tables
from medical_transfer.reporting.adaptation_before_after import planes_figure, recall_figure
from medical_transfer.reporting.adaptation_figure import method_name, methods_figure
from medical_transfer.reporting.adaptation_report import Compared
from medical_transfer.reporting.curves import reliability_figure
from medical_transfer.types import Figure


def draw(compared: Compared, places: pd.DataFrame, predictions: pd.DataFrame, *, bins: int) -> dict[str, Figure]:
    """All figures by their places on the page; what needs labels is left out where there are none.

    Args:
        compared: what the page is made from.
        places: content of `adaptation_map.parquet`.
        predictions: content of `adaptation_predictions.parquet`.
        bins: of the reliability diagram.
    """
    methods, shown = compared.evaluation["methods"], compared.shown
    named = {method: method_name(method) for method in shown}
    figures = {
        "methods": methods_figure(methods, chosen=compared.evaluation["chosen"]),
        "planes": planes_figure(places, named, compared.invariance),
    }
    if not compared.labelled:
        return figures
    before, after = (methods[method]["about"] for method in shown)
    tables = {named[method]: _reliability(predictions, before["classes"], method, bins) for method in shown}
    return {
        **figures,
        "recall": recall_figure(before, after, named[compared.beside]),
        "reliability": reliability_figure(tables),
    }


def _reliability(predictions: pd.DataFrame, classes: list[str], method: str, bins: int) -> pd.DataFrame:
    mine = predictions[(predictions["method"] == method) & predictions["label"].notna()]
    return reliability_tables(predicted_splits(mine, classes), bins)["test"]
