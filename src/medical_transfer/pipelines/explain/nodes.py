"""Nodes of explanations."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Any

import pandas as pd

from medical_transfer.config.base import Run
from medical_transfer.config.evaluation import Evaluation
from medical_transfer.config.explain import Explain
from medical_transfer.config.folders import Folders
from medical_transfer.data.cache import ImageCache, frame_hash
from medical_transfer.evaluation.explanations.chosen import choose
from medical_transfer.models.card import TrainedModel
from medical_transfer.pipelines.evaluation.nodes import predict_once
from medical_transfer.runtime.files import read_json
from medical_transfer.runtime.provenance import in_project
from medical_transfer.runtime.seeds import generator
from medical_transfer.runtime.stage import content_key, once
from medical_transfer.splits.leakage import split_hash
from medical_transfer.types import Figure, UserError

logger = logging.getLogger(__name__)

TASK = "explained"
MODULES = [
    f"medical_transfer.{name}" for name in ("evaluation.explanations", "metrics.intervals", "models", "runtime.seeds")
]


def choose_images(
    finetuned_model: TrainedModel,
    finetuned_predictions: pd.DataFrame,
    manifest: pd.DataFrame,
    image_cache: ImageCache,
    explain: Explain,
    evaluation: Evaluation,
    folders: Folders,
    run: Run,
) -> pd.DataFrame:
    """The test images that are explained, with what the model decided."""
    model, predictions = asked_model(explain, finetuned_model), finetuned_predictions
    if explain.model is not None:
        _check_same_split(model, manifest)
        test_only = evaluation.model_copy(update={"predict_training": False})
        predictions = predict_once(model, manifest, image_cache, test_only, folders.predictions / TASK)
    rng = generator(run.seed, "explain/images")
    return choose(predictions, model.card.classes, examples=explain.examples, measured=explain.measured, rng=rng)


def explain_images(
    explained_images: pd.DataFrame,
    finetuned_model: TrainedModel,
    image_cache: ImageCache,
    explain: Explain,
    evaluation: Evaluation,
    folders: Folders,
    run: Run,
) -> tuple[dict[str, Any], pd.DataFrame]:
    """What the tests of the maps say, and the maps; computed once per model, images and settings."""
    model = asked_model(explain, finetuned_model)
    key = content_key(
        inputs={
            "model": model.card.model_dump(mode="json"),
            "cache": image_cache.key,
            "rows": frame_hash(explained_images),
            "interval": [evaluation.resamples, evaluation.coverage],
            "seed": run.seed,
        },
        parameters=[explain.model_copy(update={"model": None})],
        modules=MODULES,
    )

    def compute(folder: Path) -> None:
        from medical_transfer.evaluation.explanations.explain import Task, explain_into  # noqa: PLC0415 - torch

        drawn = (evaluation.resamples, evaluation.coverage, run.seed)
        explain_into(folder, Task(model, explained_images, image_cache, explain, *drawn))

    folder = once(folders.predictions / TASK, key, compute)
    told: dict[str, Any] = read_json(folder / "explanations.json")
    for sentence in told["alarms"]:
        logger.warning("%s", sentence)
    return told, pd.read_parquet(folder / "maps.parquet")


def draw(
    explanations: dict[str, Any],
    explanation_maps: pd.DataFrame,
    explained_images: pd.DataFrame,
    image_cache: ImageCache,
) -> tuple[Figure, Figure, Figure]:
    """The shown images under their maps, maps against random weights, and curves of deletion and insertion."""
    from medical_transfer.reporting.explained_figures import (  # noqa: PLC0415 - matplotlib's fonts
        curves_figure,
        examples_figure,
        sanity_figure,
    )
    from medical_transfer.reporting.explained_pictures import strips  # noqa: PLC0415

    shown = explained_images[explained_images["shown"]]
    pictures = strips(_pixels(shown, image_cache), explanation_maps, shown["image_id"], explanations["methods"])
    captions = [f"is {label}, said {said}" for label, said in zip(shown["label"], shown["said"], strict=True)]
    return (
        examples_figure(pictures, captions),
        sanity_figure(explanations),
        curves_figure(explanations),
    )


def write_page(
    explanations: dict[str, Any],
    explanation_maps: pd.DataFrame,
    explained_images: pd.DataFrame,
    image_cache: ImageCache,
    finetuned_model: TrainedModel,
    explain: Explain,
    explanation_sanity: bytes,
    explanation_curves: bytes,
) -> str:
    """One page: alarms and sentences, the images with their maps, the two tests."""
    from medical_transfer.reporting.explained_page import render_explanations  # noqa: PLC0415 - jinja
    from medical_transfer.reporting.explained_pictures import strips  # noqa: PLC0415

    shown, model = explained_images[explained_images["shown"]], asked_model(explain, finetuned_model)
    pictures = strips(_pixels(shown, image_cache), explanation_maps, shown["image_id"], explanations["methods"])
    figures = {"sanity": explanation_sanity, "curves": explanation_curves}
    return render_explanations(
        explanations, shown, pictures, figures, model.card.model_dump(mode="json"), model.folder.name
    )


def asked_model(explain: Explain, finetuned_model: TrainedModel) -> TrainedModel:
    """The model that is explained: the one that is named, or the main job's."""
    return finetuned_model if explain.model is None else TrainedModel(in_project(explain.model))


def _pixels(rows: pd.DataFrame, cache: ImageCache) -> list[Any]:
    pixels = cache.pixels_NSS3
    return [pixels[slot] for slot in cache.slots(rows["image_id"])]


def _check_same_split(model: TrainedModel, manifest: pd.DataFrame) -> None:
    """Refuse a model that may have learned from what are test images here."""
    if model.card.split_hash != split_hash(manifest):
        raise UserError(
            f"explain.model was trained on another split (hash {model.card.split_hash[:12]}) than this run has "
            f"({split_hash(manifest)[:12]}): its test images are not the same ones. Set images and split to those of "
            "its run."
        )
