"""The stage `augmentation`."""

from __future__ import annotations

from kedro.pipeline import Pipeline, node

from medical_transfer.pipelines.augmentation import nodes


def create_pipeline() -> Pipeline:
    """Training images -> a sheet of augmented views."""
    inputs = ["manifest", "image_cache", "params:augmentation", "params:run"]
    return Pipeline(
        [node(nodes.preview, inputs, "augmentation_sheet", name="show_augmented_views")],
        namespace="augmentation",
        prefix_datasets_with_namespace=False,
    )
