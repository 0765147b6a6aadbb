"""The pipeline `drift`."""

from __future__ import annotations

from kedro.pipeline import Pipeline, node

from medical_transfer.pipelines.drift import nodes


def create_pipeline() -> Pipeline:
    """Parameters -> tests of new images against the model's own, and a page."""
    asked, folders = "params:drift", "params:folders"
    return Pipeline(
        [
            node(nodes.measure_drift, [asked, folders, "params:run"], "drift", name="measure_drift"),
            node(nodes.write_page, ["drift", asked, folders], "drift_report", name="write_drift_page"),
        ],
        namespace="drift",
        prefix_datasets_with_namespace=False,
    )
