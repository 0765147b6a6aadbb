"""The stage `compare`."""

from __future__ import annotations

from kedro.pipeline import Pipeline, node

from medical_transfer.pipelines.compare import nodes


def create_pipeline() -> Pipeline:
    """Two models, named by parameters -> differences with intervals, and a page."""
    blocks = [f"params:{block}" for block in ("compare", "evaluation", "folders", "run")]
    return Pipeline(
        [
            node(nodes.compare_models, blocks, "comparison", name="compare_models"),
            node(nodes.report, "comparison", "comparison_report", name="write_comparison"),
        ],
        namespace="compare",
        prefix_datasets_with_namespace=False,
    )
