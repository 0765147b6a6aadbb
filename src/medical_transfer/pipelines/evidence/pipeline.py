"""The stage `evidence`, apart from `evaluation` so that trials of studies need not pay for it."""

from __future__ import annotations

from kedro.pipeline import Pipeline, node

from medical_transfer.pipelines.evidence import nodes


def create_pipeline() -> Pipeline:
    """Predictions and manifest -> subgroups, worth of decisions, shortcuts, and how often the test images were read."""
    evidence, settings = "finetuned_evidence", ["params:evaluation", "params:run"]
    files = ["manifest", "image_cache", "params:images", "params:folders", *settings]
    reads = ["finetuned_evaluation", "record_of_tests"]
    predicted = ["finetuned_predictions", "finetuned_model", "manifest", *settings]
    return Pipeline(
        [
            node(nodes.weigh_evidence, predicted, evidence, name="weigh_evidence"),
            node(nodes.find_shortcuts, files, "shortcuts", name="find_shortcuts"),
            node(nodes.count_reads, reads, "test_reads", name="count_reads_of_the_test"),
            node(nodes.draw_worth, evidence, "decision_curve", name="draw_decision_curve"),
        ],
        namespace="evidence",
        prefix_datasets_with_namespace=False,
    )
