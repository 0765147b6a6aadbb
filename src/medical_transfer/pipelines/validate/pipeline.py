"""The pipeline `validate`."""

from __future__ import annotations

from kedro.pipeline import Pipeline, node

from medical_transfer.pipelines.validate import nodes


def create_pipeline() -> Pipeline:
    """Parameters -> predictions of new labelled images, their metrics, and a page."""
    table, measured = "validate_predictions", "validate_evaluation"
    asked, folders = "params:validate", "params:folders"
    return Pipeline(
        [
            node(nodes.predict_labelled, [asked, folders], table, name="predict_labelled_images"),
            node(
                nodes.measure,
                [table, asked, "params:evaluation", folders, "params:run"],
                measured,
                name="measure_on_new_images",
            ),
            node(nodes.write_page, [measured, asked, folders], "validate_report", name="write_validation_page"),
        ],
        namespace="validate",
        prefix_datasets_with_namespace=False,
    )
