"""The stage `few_shot`."""

from __future__ import annotations

from kedro.pipeline import Pipeline, node

from medical_transfer.pipelines.few_shot import nodes

DATA = ["manifest", "image_cache", "transferability"]
FOLDERS, RUN, OWN, BACKBONES = "params:folders", "params:run", "params:medical_few_shot", "params:backbones"


def create_pipeline() -> Pipeline:
    """Divided images and the chosen source -> episodes, one classifier of a few images, its metrics and a page."""
    judged = [*DATA, BACKBONES, FOLDERS, RUN, OWN]
    made = [*DATA, "few_shot_episodes", "params:images", BACKBONES, FOLDERS, RUN, OWN]
    predicted = ["few_shot_model", "manifest", "image_cache", FOLDERS]
    measured = ["few_shot_predictions", "few_shot_model", "few_shot_episodes", "params:evaluation", RUN]
    return Pipeline(
        [
            node(nodes.judge_episodes, judged, "few_shot_episodes", name="judge_episodes"),
            node(nodes.make_classifier, made, "few_shot_model", name="make_classifier"),
            node(nodes.predict, predicted, "few_shot_predictions", name="predict_by_few_shot"),
            node(nodes.measure, measured, "few_shot_evaluation", name="measure_few_shot"),
            node(nodes.report, ["few_shot_evaluation", OWN, RUN], "few_shot_report", name="write_few_shot_report"),
        ],
        namespace="few_shot",
        prefix_datasets_with_namespace=False,
    )
