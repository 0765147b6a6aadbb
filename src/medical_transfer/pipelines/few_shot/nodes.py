"""Nodes of few-shot classification. Training images choose and teach; test images judge."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pandas as pd

from medical_transfer.config.backbones import Backbones
from medical_transfer.config.base import Run
from medical_transfer.config.evaluation import Evaluation
from medical_transfer.config.folders import Folders
from medical_transfer.config.images import Images
from medical_transfer.config.medical_few_shot import MedicalFewShot
from medical_transfer.data.cache import ImageCache
from medical_transfer.data.dataset import class_names, labelled_rows
from medical_transfer.evaluation.evaluate import evaluate
from medical_transfer.models.backbones import find_source
from medical_transfer.models.card import TrainedModel
from medical_transfer.pipelines.evaluation.nodes import PREDICTION_MODULES
from medical_transfer.pipelines.transferability.feature_modules import FEATURE_MODULES
from medical_transfer.runtime.files import without_nan
from medical_transfer.runtime.seeds import derive_seed
from medical_transfer.runtime.stage import content_key, once
from medical_transfer.splits.leakage import split_hash
from medical_transfer.types import Split

TASK = "few_shot"
SPLITS: tuple[Split, ...] = ("train", "test")
MODULES = (
    *FEATURE_MODULES,
    *(
        f"medical_transfer.{name}"
        for name in (
            "data.episodes",
            "layers",
            "evaluation.episodes",
            "evaluation.few_shot_baselines",
            "pipelines.few_shot",
        )
    ),
)


def judge_episodes(
    manifest: pd.DataFrame,
    image_cache: ImageCache,
    transferability_scores: dict[str, Any],
    backbones: Backbones,
    folders: Folders,
    run: Run,
    medical_few_shot: MedicalFewShot,
) -> pd.DataFrame:
    """Accuracy of every baseline on the same episodes of training and of test images, a row for each."""
    source = find_source(transferability_scores["chosen"], backbones)
    facts = {**_facts(manifest, image_cache, source), "seed": run.seed}
    key = content_key(inputs=facts, parameters=[medical_few_shot], modules=MODULES)

    def compute(folder: Path) -> None:
        from medical_transfer.pipelines.few_shot.heads import judged  # noqa: PLC0415 - brings torch
        from medical_transfer.pipelines.transferability.scoring import Shown  # noqa: PLC0415 - brings scikit-learn

        shown: dict[str, Shown] = {
            split: Shown(labelled_rows(manifest, image_cache, split), image_cache, backbones, folders)
            for split in SPLITS
        }
        table = judged(source, shown, class_names(manifest), medical_few_shot, seed=derive_seed(run.seed, "episodes"))
        table.to_parquet(folder / "episodes.parquet", index=False)

    return pd.read_parquet(once(folders.scores, key, compute) / "episodes.parquet")


def make_classifier(  # noqa: PLR0913, PLR0917 - a node's inputs
    manifest: pd.DataFrame,
    image_cache: ImageCache,
    transferability_scores: dict[str, Any],
    few_shot_episodes: pd.DataFrame,
    images: Images,
    backbones: Backbones,
    folders: Folders,
    run: Run,
    medical_few_shot: MedicalFewShot,
) -> TrainedModel:
    """A classifier from one draw of so many training images of each class."""
    source, kind = find_source(transferability_scores["chosen"], backbones), medical_few_shot.classifier
    if kind == "auto":
        kind = better(few_shot_episodes)
    facts = {**_facts(manifest, image_cache, source), "seed": run.seed, "kind": kind}
    named = {"positive": images.positive_class, "licence": images.licence}
    key = content_key(
        inputs=facts | named, parameters=[medical_few_shot], modules=[*MODULES, "medical_transfer.models"]
    )

    def compute(folder: Path) -> None:
        from medical_transfer.pipelines.few_shot.heads import Made, save_classifier  # noqa: PLC0415 - brings torch
        from medical_transfer.pipelines.transferability.scoring import Shown  # noqa: PLC0415 - brings scikit-learn

        shown = Shown(labelled_rows(manifest, image_cache, "train"), image_cache, backbones, folders)
        made = Made(kind, class_names(manifest), images, medical_few_shot, split_hash(manifest))
        save_classifier(source, shown, made, folder=folder, seed=derive_seed(run.seed, "support"))

    return TrainedModel(once(folders.models / TASK, key, compute))


def better(episodes: pd.DataFrame) -> Any:
    """The linear baseline with the higher mean accuracy on episodes of training images; of equals the first."""
    train = episodes[(episodes["split"] == "train") & (episodes["method"] != "fine_tune")]
    return train.groupby("method", sort=False)["accuracy"].mean().idxmax()


def predict(
    few_shot_model: TrainedModel, manifest: pd.DataFrame, image_cache: ImageCache, folders: Folders
) -> pd.DataFrame:
    """Probabilities of every usable image; computed once per model and data."""
    facts = {
        "model": few_shot_model.card.model_dump(mode="json"),
        "cache": image_cache.key,
        "split": split_hash(manifest),
    }
    key = content_key(inputs=facts, parameters=[], modules=PREDICTION_MODULES)

    def compute(folder: Path) -> None:
        from medical_transfer.evaluation.predict import predict_manifest  # noqa: PLC0415 - brings torch

        table = predict_manifest(few_shot_model, manifest, image_cache)
        table.to_parquet(folder / "predictions.parquet", index=False)

    return pd.read_parquet(once(folders.predictions / TASK, key, compute) / "predictions.parquet")


def measure(
    few_shot_predictions: pd.DataFrame,
    few_shot_model: TrainedModel,
    few_shot_episodes: pd.DataFrame,
    evaluation: Evaluation,
    run: Run,
) -> dict[str, Any]:
    """Metrics of the one classifier, as of any other, and the accuracy over episodes of all of them."""
    from medical_transfer.evaluation.episode_intervals import mean_interval  # noqa: PLC0415 - quick command line

    card = few_shot_model.card
    seed = derive_seed(run.seed, "bootstrap")
    measured = evaluate(few_shot_predictions, list(card.classes), card.positive_class, card.threshold, evaluation, seed)
    over: dict[str, dict[str, Any]] = {}
    for (split, method), mine in few_shot_episodes.groupby(["split", "method"], sort=False):
        row = mean_interval(mine["accuracy"].to_numpy(dtype=float)).row(len(mine), len(mine))
        over.setdefault(str(split), {})[str(method)] = {**row, "seconds_per_task": float(mine["seconds"].mean())}
    told: dict[str, Any] = without_nan(
        {**measured, "episodes": over, "classifier": card.kind.removeprefix("few_shot/")}
    )
    return told


def report(few_shot_evaluation: dict[str, Any], medical_few_shot: MedicalFewShot, run: Run) -> str:
    """The page."""
    from medical_transfer.reporting.few_shot_report import render_few_shot  # noqa: PLC0415 - jinja

    shots, queries = medical_few_shot.shots, medical_few_shot.queries
    return render_few_shot(few_shot_evaluation, shots=shots, queries=queries, seed=run.seed)


def _facts(manifest: pd.DataFrame, cache: ImageCache, source: Any) -> dict[str, Any]:
    return {"cache": cache.key, "split": split_hash(manifest), "source": source.identity}
