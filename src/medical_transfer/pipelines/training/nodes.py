"""Nodes of training."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pandas as pd

from medical_transfer.config.augmentation import Augmentation
from medical_transfer.config.backbones import Backbones
from medical_transfer.config.base import Run
from medical_transfer.config.evaluation import Evaluation
from medical_transfer.config.folders import Folders
from medical_transfer.config.images import Images
from medical_transfer.config.model import Model
from medical_transfer.config.training import Training
from medical_transfer.data.cache import ImageCache
from medical_transfer.data.dataset import class_names
from medical_transfer.models.backbones import find_source
from medical_transfer.models.card import TrainedModel
from medical_transfer.models.recipe import Recipe
from medical_transfer.models.teacher_cards import check_teachers, facts_of_teachers
from medical_transfer.runtime.files import read_json
from medical_transfer.runtime.stage import content_key, once
from medical_transfer.splits.leakage import split_hash

MODULES = [
    f"medical_transfer.{name}"
    for name in (
        "data",
        "layers",
        "losses",
        "methods",
        "models",
        "training",
        "metrics",
        "schedules",
        "pipelines.training.nodes",
    )
]


def facts_of_target(training: Training, manifest: pd.DataFrame, cache: ImageCache) -> dict[str, Any]:
    """What of the second site shapes a training, for its key: nothing, unless its method learns from it."""
    if not training.adapts:
        return {}
    return {"target": {"cache": cache.key, "split": split_hash(manifest)}}


def facts_of_teacher(recipe: Recipe, manifest: pd.DataFrame) -> dict[str, Any]:
    """What of a teacher shapes a training, for its key: nothing, unless its method has one.

    Raises:
        UserError: where the teacher is missing or damaged, or has another split, other classes or images.
    """
    if recipe.training.kind != "distill":
        return {}
    cards = check_teachers(
        recipe.training.distill.teacher,
        classes=class_names(manifest),
        split_hash=split_hash(manifest),
        size=recipe.images.size,
        fit=recipe.images.fit,
    )
    return facts_of_teachers(cards)


def train(  # noqa: PLR0913, PLR0917 - a node's inputs
    manifest: pd.DataFrame,
    image_cache: ImageCache,
    target_manifest: pd.DataFrame,
    target_image_cache: ImageCache,
    model_plan: dict[str, Any],
    images: Images,
    model: Model,
    training: Training,
    augmentation: Augmentation,
    evaluation: Evaluation,
    backbones: Backbones,
    folders: Folders,
    run: Run,
) -> TrainedModel:
    """Train, calibrate and save the model, or return the one that the same inputs gave before."""
    source = find_source(model_plan["source"], backbones)
    recipe = Recipe(source, images, model, training, augmentation, evaluation, backbones, folders, run.seed)
    return train_once(
        recipe, (manifest, image_cache), (target_manifest, target_image_cache), folders.models / "finetuned"
    )


def train_once(
    recipe: Recipe, site: tuple[pd.DataFrame, ImageCache], target: tuple[pd.DataFrame, ImageCache], root: Path
) -> TrainedModel:
    """The model that is asked for, below `root`; of each site the manifest and the pixels.

    The target counts only where the method learns from it.
    """
    manifest, cache = site
    facts = {
        "cache": cache.key,
        "split": split_hash(manifest),
        "source": recipe.source.identity,
        "threshold": list(recipe.evaluation.operating_point),
        "positive": recipe.images.positive_class,
        "licence": recipe.images.licence,
        "seed": recipe.seed,
        **facts_of_target(recipe.training, *target),
        **facts_of_teacher(recipe, manifest),
    }
    shaping = [recipe.model, recipe.training.as_read(), recipe.augmentation]
    key = content_key(inputs=facts, parameters=shaping, modules=MODULES)

    def compute(folder: Path) -> None:
        from medical_transfer.training.produce import produce_model  # noqa: PLC0415 - brings torch and lightning

        beside = target if recipe.training.adapts else None
        produce_model(recipe, manifest, cache, folder=folder, target=beside)

    return TrainedModel(once(root, key, compute))


def read_history(finetuned_model: TrainedModel) -> pd.DataFrame:
    """One row per epoch of all phases."""
    return pd.DataFrame(read_json(finetuned_model.folder / "history.json"))
