"""The stage `distillation`."""

from __future__ import annotations

from kedro.pipeline import Pipeline, node

from medical_transfer.pipelines.distillation import nodes

SITE = ["manifest", "image_cache"]
BLOCKS = [f"params:{block}" for block in ("images", "model", "training", "augmentation", "evaluation", "backbones")]
EVALUATION, FOLDERS, RUN, OWN = (
    f"params:{block}" for block in ("evaluation", "folders", "run", "medical_distillation")
)
TEACHER, STUDENT, ALONE, EXPORTED = "finetuned_model", "distilled_model", "student_alone_model", "exported_model"
PREDICTIONS = ["distilled_predictions", "student_alone_predictions"]
BY_GRAPH, COSTS, MEASURED = "exported_predictions", "distilled_costs", "distilled_evaluation"


def create_pipeline() -> Pipeline:
    """The main job's images, split, model and predictions -> a student, its graphs, metrics and a page."""
    trained = [*SITE, TEACHER, *BLOCKS, FOLDERS, RUN, OWN]
    told = ["finetuned_predictions", *reversed(PREDICTIONS), BY_GRAPH, TEACHER, ALONE, STUDENT, EXPORTED, "manifest"]
    return Pipeline(
        [
            node(nodes.train_students, trained, [STUDENT, ALONE], name="train_students"),
            node(
                nodes.predict_students,
                [STUDENT, ALONE, *SITE, EVALUATION, FOLDERS],
                PREDICTIONS,
                name="predict_by_students",
            ),
            node(nodes.export, [STUDENT, *SITE, FOLDERS, RUN, OWN], EXPORTED, name="export_and_quantise"),
            node(nodes.predict_exported, [EXPORTED, STUDENT, *SITE, FOLDERS], BY_GRAPH, name="predict_by_graphs"),
            node(nodes.time_engines, [TEACHER, STUDENT, EXPORTED, *SITE, OWN], COSTS, name="time_engines"),
            node(nodes.measure, [*told, EVALUATION, RUN], MEASURED, name="measure_students"),
            node(
                nodes.report,
                [MEASURED, COSTS, STUDENT, TEACHER, RUN],
                ["distilled_students", "distilled_report"],
                name="write_distilled_report",
            ),
        ],
        namespace="distillation",
        prefix_datasets_with_namespace=False,
    )
