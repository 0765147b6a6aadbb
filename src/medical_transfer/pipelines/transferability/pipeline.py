"""The stage `transferability`."""

from __future__ import annotations

from kedro.pipeline import Pipeline, node

from medical_transfer.pipelines.transferability import nodes


def create_pipeline() -> Pipeline:
    """Training images and sources -> scores, ranking and choice."""
    blocks = ["transferability", "model", "backbones", "folders", "run"]
    inputs = ["manifest", "image_cache", *(f"params:{block}" for block in blocks)]
    return Pipeline(
        [
            node(nodes.score_sources, inputs, "transferability", name="score_sources"),
            node(nodes.show_ranking, "transferability", "source_ranking", name="show_ranking"),
        ],
        namespace="transferability",
        prefix_datasets_with_namespace=False,
    )
