"""The stage `evaluation`."""

from __future__ import annotations

from kedro.pipeline import Pipeline, node

from medical_transfer.pipelines.evaluation import nodes
from medical_transfer.pipelines.evaluation.by_patient import measure_patients

FIGURES = ["roc_curve", "precision_recall_curve", "reliability_diagram", "confusion_matrices", "training_curves"]


def create_pipeline() -> Pipeline:
    """Trained model -> predictions, metrics and figures."""
    predictions, measured = "finetuned_predictions", "finetuned_evaluation"
    model, history = "finetuned_model", "finetuned_history"
    return Pipeline(
        [
            node(
                nodes.predict,
                [model, "manifest", "image_cache", "params:evaluation", "params:folders"],
                predictions,
                name="predict_images",
            ),
            node(
                nodes.measure,
                [predictions, model, "params:evaluation", "params:run"],
                measured,
                name="measure_with_intervals",
            ),
            node(
                measure_patients,
                [predictions, "audit", model, "params:evaluation", "params:run"],
                "finetuned_patients",
                name="measure_by_patient",
            ),
            node(nodes.draw_curves, [predictions, measured, history, "params:evaluation"], FIGURES, name="draw_curves"),
            node(nodes.show_errors, [predictions, measured, "image_cache"], "worst_errors", name="show_worst_errors"),
        ],
        namespace="evaluation",
        prefix_datasets_with_namespace=False,
    )
