"""The stage `reporting`."""

from __future__ import annotations

from kedro.pipeline import Pipeline, node

from medical_transfer.pipelines.reporting import nodes
from medical_transfer.pipelines.reporting.figures import FIGURES

INPUTS = [
    "finetuned_evaluation",
    "finetuned_history",
    "finetuned_model",
    "model_plan",
    "leakage",
    "quarantine",
    "transferability",
    "timing",
    "parameters",
    "params:images",
    "params:run",
]


def create_pipeline() -> Pipeline:
    """All results -> report.html."""
    return Pipeline(
        [
            node(nodes.draw_split, "leakage", "split_counts", name="draw_split"),
            node(nodes.write_report, [*INPUTS, *FIGURES], "report", name="write_report"),
        ],
        namespace="reporting",
        prefix_datasets_with_namespace=False,
    )
