"""The stage `evaluation`."""

from __future__ import annotations

from kedro.pipeline import Pipeline, node

from medical_transfer.pipelines.evaluation import nodes

FIGURES = ["roc_curve", "precision_recall_curve", "reliability_diagram", "confusion_matrices", "training_curves"]


def create_pipeline() -> Pipeline:
    """Trained model -> predictions, metrics and figures."""
    return Pipeline(
        [
            node(
                nodes.predict, ["finetuned_model", "manifest", "image_cache", "params:folders"], "finetuned_predictions"
            ),
            node(
                nodes.measure,
                ["finetuned_predictions", "finetuned_model", "params:evaluation", "params:run"],
                "finetuned_evaluation",
            ),
            node(
                nodes.draw_curves,
                ["finetuned_predictions", "finetuned_evaluation", "finetuned_history", "params:evaluation"],
                FIGURES,
            ),
            node(nodes.show_errors, ["finetuned_predictions", "finetuned_evaluation", "image_cache"], "worst_errors"),
        ]
    )
