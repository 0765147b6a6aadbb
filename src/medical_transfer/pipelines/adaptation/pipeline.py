"""The stage `adaptation`."""

from __future__ import annotations

from kedro.pipeline import Pipeline, node

from medical_transfer.pipelines.adaptation import nodes

SITES = ["manifest", "image_cache", "target_manifest", "target_image_cache"]
BLOCKS = [
    f"params:{block}"
    for block in ("images", "target_images", "model", "training", "augmentation", "evaluation", "backbones")
]
OWN, FOLDERS, RUN = "params:medical_adaptation", "params:folders", "params:run"
CANDIDATES, PREDICTIONS, CHOICE = "adaptation_candidates", "adaptation_predictions", "adaptation_choice"
MEASURED, INVARIANCE = "adapted_evaluation", "adaptation_invariance"
EMBEDDINGS, MAP = "adaptation_embeddings", "adaptation_map"


def create_pipeline() -> Pipeline:
    """Both sites and the plan -> models, a choice without labels, metrics and a page."""
    trained = [*SITES, "model_plan", *BLOCKS, FOLDERS, RUN, OWN]
    chosen = [CHOICE, "adapted_model", "adapted_predictions"]
    choosing = [PREDICTIONS, CANDIDATES, EMBEDDINGS, "manifest", FOLDERS, OWN]
    judged = [PREDICTIONS, CANDIDATES, CHOICE, FOLDERS, "params:evaluation", RUN]
    told = [MEASURED, CHOICE, INVARIANCE, CANDIDATES, MAP, PREDICTIONS, "params:evaluation", RUN]
    return Pipeline(
        [
            node(nodes.train_candidates, trained, CANDIDATES, name="train_candidates"),
            node(nodes.predict_candidates, [CANDIDATES, *SITES[2:], FOLDERS], PREDICTIONS, name="predict_target"),
            node(nodes.embed_sites, [CANDIDATES, *SITES, FOLDERS, RUN, OWN], EMBEDDINGS, name="embed_both_sites"),
            node(nodes.choose_without_labels, choosing, chosen, name="choose"),
            node(nodes.measure_invariance, [EMBEDDINGS, FOLDERS, RUN], INVARIANCE, name="tell_sites_apart"),
            node(nodes.place_on_a_plane, [EMBEDDINGS, CHOICE, FOLDERS], MAP, name="place_on_a_plane"),
            node(nodes.measure, judged, MEASURED, name="measure_on_target"),
            node(nodes.report, told, ["adaptation_methods", "adapted_report"], name="write_adapted_report"),
        ],
        namespace="adaptation",
        prefix_datasets_with_namespace=False,
    )
