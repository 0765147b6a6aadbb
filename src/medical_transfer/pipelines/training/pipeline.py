"""The stage `training`."""

from __future__ import annotations

from kedro.pipeline import Pipeline, node

from medical_transfer.pipelines.training import nodes


def create_pipeline() -> Pipeline:
    """Training images and plan -> trained model and history."""
    images = ["manifest", "image_cache", "target_manifest", "target_image_cache"]
    blocks = ["images", "model", "training", "augmentation", "evaluation", "backbones", "folders", "run"]
    inputs = [*images, "model_plan", *(f"params:{block}" for block in blocks)]
    return Pipeline(
        [
            node(nodes.train, inputs, "finetuned_model", name="train_and_calibrate"),
            node(nodes.read_history, "finetuned_model", "finetuned_history", name="read_history"),
        ],
        namespace="training",
        prefix_datasets_with_namespace=False,
    )
