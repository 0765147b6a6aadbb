"""The pipeline `predict`."""

from __future__ import annotations

from kedro.pipeline import Pipeline, node

from medical_transfer.pipelines.predict import nodes


def create_pipeline() -> Pipeline:
    """Parameters -> predictions of new images, the same by patient, and a page."""
    table, patients = "predict_predictions", "predict_patients"
    blocks = ["params:predict", "params:folders"]
    return Pipeline(
        [
            node(nodes.predict_new, blocks, table, name="predict_new_images"),
            node(nodes.aggregate, [table, *blocks], patients, name="aggregate_by_patient"),
            node(nodes.write_page, [table, patients, *blocks], "predict_report", name="write_predict_page"),
        ],
        namespace="predict",
        prefix_datasets_with_namespace=False,
    )
