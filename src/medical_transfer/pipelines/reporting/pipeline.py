"""The stage `reporting`."""

from __future__ import annotations

from kedro.pipeline import Pipeline, node

from medical_transfer.pipelines.reporting import nodes
from medical_transfer.pipelines.reporting.figures import FIGURES

INPUTS = [
    "finetuned_evaluation",
    "finetuned_evidence",
    "shortcuts",
    "test_reads",
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
    """All results -> report.html, model_card.md, checklists.md."""
    pages = ["report", "model_card", "checklists"]
    return Pipeline(
        [
            node(nodes.draw_split, "leakage", "split_counts", name="draw_split"),
            node(nodes.write_report, [*INPUTS, *FIGURES], pages, name="write_report"),
        ],
        namespace="reporting",
        prefix_datasets_with_namespace=False,
    )
