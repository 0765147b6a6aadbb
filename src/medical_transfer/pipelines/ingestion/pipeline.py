"""The stage `ingestion`."""

from __future__ import annotations

from kedro.pipeline import Pipeline, node

from medical_transfer.pipelines.ingestion import nodes


def create_pipeline() -> Pipeline:
    """Images on disk -> audit and image cache."""
    return Pipeline(
        [
            node(
                nodes.ingest,
                ["params:images", "params:folders", "params:run"],
                ["audit", "image_cache"],
                name="read_and_decode",
            ),
            node(nodes.quarantined, "audit", "quarantine", name="list_quarantined"),
        ],
        namespace="ingestion",
        prefix_datasets_with_namespace=False,
    )
