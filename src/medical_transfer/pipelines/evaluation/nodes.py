"""Nodes of evaluation."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pandas as pd

from medical_transfer.config.base import Run
from medical_transfer.config.evaluation import Evaluation
from medical_transfer.config.folders import Folders
from medical_transfer.data.cache import ImageCache
from medical_transfer.evaluation.evaluate import evaluate
from medical_transfer.evaluation.kept import TABLE_FILE, keep
from medical_transfer.models.card import TrainedModel
from medical_transfer.runtime.files import without_nan
from medical_transfer.runtime.seeds import derive_seed
from medical_transfer.runtime.stage import content_key, once
from medical_transfer.splits.leakage import split_hash
from medical_transfer.types import SPLITS, Figure

PREDICTION_MODULES = [
    f"medical_transfer.{name}"
    for name in ("models", "evaluation.predict", "evaluation.kept", "metrics.calibration", "metrics.thresholds")
]


def predict(
    finetuned_model: TrainedModel,
    manifest: pd.DataFrame,
    image_cache: ImageCache,
    evaluation: Evaluation,
    folders: Folders,
) -> pd.DataFrame:
    """Calibrated probabilities of every usable image."""
    return predict_once(finetuned_model, manifest, image_cache, evaluation, folders.predictions / "finetuned")


def predict_once(
    model: TrainedModel, manifest: pd.DataFrame, cache: ImageCache, evaluation: Evaluation, root: Path
) -> pd.DataFrame:
    """The predictions table of a model, computed once per model and data below `root`."""
    splits = [split for split in SPLITS if split != "train" or evaluation.predict_training]
    key = content_key(
        inputs={
            "model": model.card.model_dump(mode="json"),
            "cache": cache.key,
            "split": split_hash(manifest),
            "predicted": splits,
        },
        parameters=[],
        modules=PREDICTION_MODULES,
    )

    def compute(folder: Path) -> None:
        from medical_transfer.evaluation.predict import predict_manifest  # noqa: PLC0415 - brings torch

        keep(folder, predict_manifest(model, manifest, cache, splits), model.card)

    return pd.read_parquet(once(root, key, compute) / TABLE_FILE)


def measure(
    finetuned_predictions: pd.DataFrame, finetuned_model: TrainedModel, evaluation: Evaluation, run: Run
) -> dict[str, Any]:
    """Metrics of validation and test with group-clustered intervals."""
    card = finetuned_model.card
    measured = evaluate(
        finetuned_predictions,
        list(card.classes),
        card.positive_class,
        card.threshold,
        evaluation,
        derive_seed(run.seed, "bootstrap"),
    )
    of_model = {"temperature": card.temperature, "model": card.card_sha256[:16]}
    told: dict[str, Any] = without_nan({**measured, "about": {**measured["about"], **of_model}})
    return told


def draw_curves(
    finetuned_predictions: pd.DataFrame,
    finetuned_evaluation: dict[str, Any],
    finetuned_history: pd.DataFrame,
    evaluation: Evaluation,
) -> tuple[Figure, Figure, Figure, Figure, Figure]:
    """ROC, precision-recall, reliability, confusion matrices and training curves."""
    from medical_transfer.pipelines.evaluation.shown import predicted_splits, reliability_tables  # noqa: PLC0415
    from medical_transfer.reporting.charts import confusion_figure  # noqa: PLC0415 - brings matplotlib's fonts
    from medical_transfer.reporting.curves import (  # noqa: PLC0415
        precision_recall_figure,
        reliability_figure,
        roc_figure,
    )
    from medical_transfer.reporting.training_curves import training_figure  # noqa: PLC0415

    about = finetuned_evaluation["about"]
    splits = predicted_splits(finetuned_predictions, about["classes"])
    shown = {"classes": about["classes"], "positive": about["positive"], "threshold": about["threshold"]}
    return (
        roc_figure(splits, **shown),
        precision_recall_figure(splits, **shown),
        reliability_figure(reliability_tables(splits, evaluation.bins)),
        confusion_figure(about["confusion"], classes=about["classes"]),
        training_figure(finetuned_history),
    )


def show_errors(
    finetuned_predictions: pd.DataFrame, finetuned_evaluation: dict[str, Any], image_cache: ImageCache
) -> Figure:
    """The most confident wrong decisions on the test images."""
    from medical_transfer.pipelines.evaluation.shown import worst_errors  # noqa: PLC0415 - matplotlib's fonts
    from medical_transfer.reporting.pictures import errors_figure  # noqa: PLC0415

    worst = worst_errors(finetuned_predictions, finetuned_evaluation["about"]["classes"], count=12)
    pixels = image_cache.pixels_NSS3
    return errors_figure([pixels[slot] for slot in image_cache.slots(worst["image_id"])], worst["caption"].tolist())
