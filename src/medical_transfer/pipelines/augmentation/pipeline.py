"""The stage `augmentation`."""

from __future__ import annotations

from kedro.pipeline import Pipeline, node

from medical_transfer.pipelines.augmentation import nodes


def create_pipeline() -> Pipeline:
    """Training images -> a sheet of augmented views."""
    return Pipeline(
        [node(nodes.preview, ["manifest", "image_cache", "params:augmentation", "params:run"], "augmentation_sheet")]
    )
