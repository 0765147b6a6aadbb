"""The stage `split`."""

from __future__ import annotations

from kedro.pipeline import Pipeline, node

from medical_transfer.pipelines.split import nodes


def create_pipeline() -> Pipeline:
    """Audit and pixels -> manifest and leakage report."""
    return Pipeline(
        [
            node(
                nodes.group, ["audit", "image_cache", "params:split"], "near_duplicates", name="group_near_duplicates"
            ),
            node(
                nodes.divide,
                ["audit", "near_duplicates", "params:split", "params:run"],
                ["manifest", "leakage"],
                name="divide_groups",
            ),
            node(
                nodes.show_pairs,
                ["manifest", "near_duplicates", "image_cache"],
                "near_duplicate_pairs",
                name="show_pairs",
            ),
        ],
        namespace="split",
        prefix_datasets_with_namespace=False,
    )
