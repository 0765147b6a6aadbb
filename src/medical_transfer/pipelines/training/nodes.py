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
from medical_transfer.models.backbones import find_source
from medical_transfer.models.card import TrainedModel
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
    facts = {
        "cache": image_cache.key,
        "split": split_hash(manifest),
        "source": source.identity,
        "threshold": [evaluation.threshold, evaluation.target],
        "positive": images.positive_class,
        "licence": images.licence,
        "seed": run.seed,
        **facts_of_target(training, target_manifest, target_image_cache),
    }
    key = content_key(inputs=facts, parameters=[model, training.as_read(), augmentation], modules=MODULES)

    def compute(folder: Path) -> None:
        from medical_transfer.training.produce import produce_model  # noqa: PLC0415 - brings torch and lightning
        from medical_transfer.training.recipe import Recipe  # noqa: PLC0415

        recipe = Recipe(source, images, model, training, augmentation, evaluation, backbones, folders, run.seed)
        beside = (target_manifest, target_image_cache) if training.adapts else None
        produce_model(recipe, manifest, image_cache, folder=folder, target=beside)

    return TrainedModel(once(folders.models / "finetuned", key, compute))


def read_history(finetuned_model: TrainedModel) -> pd.DataFrame:
    """One row per epoch of all phases."""
    return pd.DataFrame(read_json(finetuned_model.folder / "history.json"))
