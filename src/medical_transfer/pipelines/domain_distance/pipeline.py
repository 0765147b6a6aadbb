"""The stage `domain_distance`."""

from __future__ import annotations

from kedro.pipeline import Pipeline, node

from medical_transfer.pipelines.domain_distance import nodes


def create_pipeline() -> Pipeline:
    """Manifests and pixels of both sites -> distances with p-values, a map of the images and a figure."""
    blocks = ["domain_distance", "transferability", "backbones", "folders", "run"]
    inputs = ["domain_rows", "image_cache", "target_image_cache", *(f"params:{block}" for block in blocks)]
    manifests = ["manifest", "target_manifest", "params:domain_distance", "params:run"]
    return Pipeline(
        [
            node(nodes.draw_rows, manifests, "domain_rows", name="draw_images_to_compare"),
            node(nodes.measure_distances, inputs, ["domain_distance", "domain_map"], name="measure_distances"),
            node(nodes.show_distances, ["domain_distance", "domain_map"], "domain_figure", name="show_distances"),
        ],
        namespace="domain_distance",
        prefix_datasets_with_namespace=False,
    )
