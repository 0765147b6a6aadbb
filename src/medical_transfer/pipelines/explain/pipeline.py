"""The pipeline `explain`."""

from __future__ import annotations

from kedro.pipeline import Pipeline, node

from medical_transfer.pipelines.explain import nodes

FIGURES = ["explanation_examples", "explanation_sanity", "explanation_curves"]


def create_pipeline() -> Pipeline:
    """Trained model and its predictions -> maps of test images, tests of the maps, figures and a page."""
    model, chosen, told, maps = "finetuned_model", "explained_images", "explanations", "explanation_maps"
    asked = ["params:explain", "params:evaluation", "params:folders", "params:run"]
    data = ["finetuned_predictions", "manifest", "image_cache"]
    return Pipeline(
        [
            node(nodes.choose_images, [model, *data, *asked], chosen, name="choose_images"),
            node(nodes.explain_images, [chosen, model, "image_cache", *asked], [told, maps], name="explain_images"),
            node(nodes.draw, [told, maps, chosen, "image_cache"], FIGURES, name="draw_explanations"),
            node(
                nodes.write_page,
                [told, maps, chosen, "image_cache", model, "params:explain", *FIGURES[1:]],
                "explanations_report",
                name="write_explanations",
            ),
        ],
        namespace="explain",
        prefix_datasets_with_namespace=False,
    )
