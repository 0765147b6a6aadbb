"""The stage `layer_choice`, which is no part of the main job."""

from __future__ import annotations

from kedro.pipeline import Pipeline, node

from medical_transfer.pipelines.layer_choice import nodes


def create_pipeline() -> Pipeline:
    """Training images and a source -> scores of its stages, a figure and a suggestion."""
    blocks = ["layer_choice", "transferability", "model", "backbones", "folders", "run"]
    inputs = ["manifest", "image_cache", *(f"params:{block}" for block in blocks)]
    return Pipeline(
        [
            node(nodes.score_stages, inputs, "layer_choice", name="score_stages"),
            node(nodes.show_depth, "layer_choice", "transferability_by_depth", name="show_depth"),
        ],
        namespace="layer_choice",
        prefix_datasets_with_namespace=False,
    )
