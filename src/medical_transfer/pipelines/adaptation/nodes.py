"""Nodes of adaptation. Labels of the second site are read in `train_candidates` for the bound, and in `measure`."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pandas as pd

from medical_transfer.config.augmentation import Augmentation
from medical_transfer.config.backbones import Backbones
from medical_transfer.config.base import Run
from medical_transfer.config.evaluation import Evaluation
from medical_transfer.config.folders import Folders
from medical_transfer.config.images import Images, TargetImages
from medical_transfer.config.medical_adaptation import MedicalAdaptation
from medical_transfer.config.model import Model
from medical_transfer.config.training import Training
from medical_transfer.data.cache import ImageCache
from medical_transfer.data.dataset import class_names
from medical_transfer.evaluation.evaluate import evaluate
from medical_transfer.evaluation.label_free import choose
from medical_transfer.models.backbones import find_source
from medical_transfer.models.card import TrainedModel
from medical_transfer.models.recipe import Recipe
from medical_transfer.pipelines.adaptation.both_sites import (
    Sites,
    at_home,
    distance,
    draw_validation,
    embed,
    plane,
    source_scores_of,
)
from medical_transfer.pipelines.adaptation.candidates import (
    ORACLE,
    SOURCE_ONLY,
    TASK,
    beside_plain,
    cost_of_choosing,
    models_of,
    prior_of,
    why_no_oracle,
)
from medical_transfer.pipelines.adaptation.simple_means import Asked, make_all
from medical_transfer.pipelines.evaluation.nodes import PREDICTION_MODULES
from medical_transfer.pipelines.training.nodes import train_once
from medical_transfer.runtime.files import without_nan
from medical_transfer.runtime.seeds import derive_seed
from medical_transfer.runtime.stage import content_key, once
from medical_transfer.splits.leakage import split_hash
from medical_transfer.types import Figure


def train_candidates(  # noqa: PLR0913, PLR0917 - a node's inputs
    manifest: pd.DataFrame,
    image_cache: ImageCache,
    target_manifest: pd.DataFrame,
    target_image_cache: ImageCache,
    model_plan: dict[str, Any],
    images: Images,
    target_images: TargetImages,
    model: Model,
    training: Training,
    augmentation: Augmentation,
    evaluation: Evaluation,
    backbones: Backbones,
    folders: Folders,
    run: Run,
    medical_adaptation: MedicalAdaptation,
) -> dict[str, Any]:
    """Train without adaptation, with each method, and, where its labels allow, on the second site itself."""
    from medical_transfer.training.learning_set import unlabelled_set  # noqa: PLC0415 - not for a main job

    root, source = folders.models / TASK, find_source(model_plan["source"], backbones)
    recipe = Recipe(source, images, model, training, augmentation, evaluation, backbones, folders, run.seed)
    here, there = (manifest, image_cache), (target_manifest, target_image_cache)
    unlabelled_set(*there, batch_size=training.batch_size if medical_adaptation.methods else 2)  # refuses a small site

    def key_of(kind: str, site: tuple[pd.DataFrame, ImageCache], licensed: Images) -> str:
        one = replace(recipe, images=licensed, training=training.model_copy(update={"kind": kind}))
        return train_once(one, site, there, root).folder.name

    keys = {SOURCE_ONLY: key_of("finetune", here, images)}
    plain = replace(recipe, training=training.model_copy(update={"kind": "finetune"}))
    asked = Asked(plain, here, there, medical_adaptation, root, TrainedModel(root / keys[SOURCE_ONLY]))
    made, left_out = make_all(asked)
    keys |= {name: each.model.folder.name for name, each in made.items()}
    keys |= {kind: key_of(kind, here, images) for kind in medical_adaptation.methods}
    missing = why_no_oracle(target_manifest, class_names(manifest), strict=target_images.strict_unlabelled)
    if missing is None:
        keys[ORACLE] = key_of("finetune", there, images.model_copy(update={"licence": target_images.licence}))
    homes = {name: at_home(each) for name, each in made.items()}
    return {"keys": keys, "at_home": homes, "left_out": left_out, "no_oracle": missing}


def predict_candidates(
    adaptation_candidates: dict[str, Any],
    target_manifest: pd.DataFrame,
    target_image_cache: ImageCache,
    folders: Folders,
) -> pd.DataFrame:
    """Calibrated probabilities of the second site's images under each model; column `method` says which."""
    models = models_of(adaptation_candidates["keys"], folders.models)
    tables = {name: _predicted(model, target_manifest, target_image_cache, folders) for name, model in models.items()}
    return pd.concat([table.assign(method=name) for name, table in tables.items()], ignore_index=True)


def _predicted(model: TrainedModel, manifest: pd.DataFrame, cache: ImageCache, folders: Folders) -> pd.DataFrame:
    facts = {"model": model.card.model_dump(mode="json"), "cache": cache.key, "split": split_hash(manifest)}
    key = content_key(inputs=facts, parameters=[], modules=PREDICTION_MODULES)

    def compute(folder: Path) -> None:
        from medical_transfer.evaluation.predict import predict_manifest  # noqa: PLC0415 - brings torch

        predict_manifest(model, manifest, cache).to_parquet(folder / "predictions.parquet", index=False)

    return pd.read_parquet(once(folders.predictions / TASK, key, compute) / "predictions.parquet")


def embed_sites(
    adaptation_candidates: dict[str, Any],
    manifest: pd.DataFrame,
    image_cache: ImageCache,
    target_manifest: pd.DataFrame,
    target_image_cache: ImageCache,
    folders: Folders,
    run: Run,
    medical_adaptation: MedicalAdaptation,
) -> dict[str, str]:
    """Features of validation images of both sites under each model; where they are, by method."""
    sites = Sites((manifest, image_cache), (target_manifest, target_image_cache), folders)
    drawn = draw_validation(sites, medical_adaptation.invariance_images, run.seed)
    return {name: embed(name, adaptation_candidates, sites, drawn) for name in adaptation_candidates["keys"]}


def choose_without_labels(
    adaptation_predictions: pd.DataFrame,
    adaptation_candidates: dict[str, Any],
    adaptation_embeddings: dict[str, str],
    manifest: pd.DataFrame,
    folders: Folders,
    medical_adaptation: MedicalAdaptation,
) -> tuple[dict[str, Any], TrainedModel, pd.DataFrame]:
    """Take a method by a score without labels of the second site; name what speaks against each."""
    classes = class_names(manifest)
    unlabelled = adaptation_predictions.drop(columns="label")
    names = [name for name in adaptation_candidates["keys"] if name != ORACLE]
    candidates = {name: unlabelled[unlabelled["method"] == name] for name in names}
    judged = {name: source_scores_of(folders, adaptation_embeddings[name]) for name in names}
    prior_C = prior_of(manifest, classes)
    choice = choose(candidates, classes, by=medical_adaptation.choose_by, source_prior_C=prior_C, beside=judged)
    taken = adaptation_predictions[adaptation_predictions["method"] == choice["chosen"]]
    model = models_of(adaptation_candidates["keys"], folders.models)[choice["chosen"]]
    return without_nan({**choice}), model, taken.drop(columns="method").reset_index(drop=True)


def measure_invariance(adaptation_embeddings: dict[str, str], folders: Folders, run: Run) -> dict[str, float]:
    """How well a fresh classifier tells the sites apart by each model's features of validation images (0 to 2)."""
    return {name: distance(folders, key, run.seed) for name, key in adaptation_embeddings.items()}


def place_on_a_plane(
    adaptation_embeddings: dict[str, str], adaptation_choice: dict[str, Any], folders: Folders
) -> pd.DataFrame:
    """Validation images of both sites on the plane of a model's largest differences: without adaptation, and with."""
    shown = (SOURCE_ONLY, beside_plain(adaptation_choice))
    return pd.concat(
        [plane(folders, adaptation_embeddings[name]).assign(method=name) for name in shown], ignore_index=True
    )


def measure(
    adaptation_predictions: pd.DataFrame,
    adaptation_candidates: dict[str, Any],
    adaptation_choice: dict[str, Any],
    folders: Folders,
    evaluation: Evaluation,
    run: Run,
) -> dict[str, Any]:
    """Only here labels of the second site judge: metrics of each model, and what the choice without them cost."""
    models, measured = models_of(adaptation_candidates["keys"], folders.models), {}
    for name, model in models.items():
        card, table = model.card, adaptation_predictions[adaptation_predictions["method"] == name]
        seed = derive_seed(run.seed, "bootstrap")
        measured[name] = evaluate(table, list(card.classes), card.positive_class, card.threshold, evaluation, seed)
    missing = adaptation_candidates["no_oracle"]
    told = {**measured[adaptation_choice["chosen"]], "methods": measured, "no_oracle": missing}
    return dict(without_nan({**told, **cost_of_choosing(measured, adaptation_choice)}))


def report(
    adapted_evaluation: dict[str, Any],
    adaptation_choice: dict[str, Any],
    adaptation_invariance: dict[str, Any],
    adaptation_candidates: dict[str, Any],
    adaptation_map: pd.DataFrame,
    adaptation_predictions: pd.DataFrame,
    evaluation: Evaluation,
    run: Run,
) -> tuple[Figure, str]:
    """The models side by side as a figure, and the page."""
    from medical_transfer.pipelines.adaptation.figures import draw  # noqa: PLC0415 - matplotlib's fonts
    from medical_transfer.reporting.adaptation_report import Compared, render_adaptation  # noqa: PLC0415
    from medical_transfer.reporting.embedding import png_of  # noqa: PLC0415

    candidates = {name: adaptation_candidates[name] for name in ("no_oracle", "left_out")}
    compared = Compared(
        adapted_evaluation,
        adaptation_choice,
        adaptation_invariance,
        **candidates,
        beside=beside_plain(adaptation_choice),
        seed=run.seed,
    )
    figures = draw(compared, adaptation_map, adaptation_predictions, bins=evaluation.bins)
    return figures["methods"], render_adaptation(compared, {name: png_of(each) for name, each in figures.items()})
