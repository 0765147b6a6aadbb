"""The stage `transferability`."""

from __future__ import annotations

from kedro.pipeline import Pipeline, node

from medical_transfer.pipelines.transferability import nodes


def create_pipeline() -> Pipeline:
    """Training images and sources -> scores, ranking and choice."""
    inputs = [
        "manifest",
        "image_cache",
        "params:transferability",
        "params:backbones",
        "params:model",
        "params:folders",
        "params:run",
    ]
    return Pipeline(
        [
            node(nodes.score_sources, inputs, "transferability"),
            node(nodes.show_ranking, "transferability", "source_ranking"),
        ]
    )
