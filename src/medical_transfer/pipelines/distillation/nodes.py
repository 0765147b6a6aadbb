"""Nodes of distillation."""

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
from medical_transfer.config.medical_distillation import MedicalDistillation
from medical_transfer.config.model import Model
from medical_transfer.config.training import Training
from medical_transfer.data.cache import ImageCache
from medical_transfer.data.manifest import readable
from medical_transfer.evaluation.student_judged import (
    ALONE,
    DISTILLED,
    INT8,
    ONNX,
    TEACHER,
    judge,
    minority_of,
)
from medical_transfer.models.backbones import find_source
from medical_transfer.models.card import TrainedModel
from medical_transfer.models.exported import ExportedModel
from medical_transfer.models.recipe import Recipe
from medical_transfer.pipelines.evaluation.nodes import PREDICTION_MODULES, predict_once
from medical_transfer.pipelines.training.nodes import train_once
from medical_transfer.runtime.files import without_nan
from medical_transfer.runtime.seeds import derive_seed
from medical_transfer.runtime.stage import content_key, once
from medical_transfer.splits.leakage import split_hash
from medical_transfer.types import Figure

TASK = "distilled"
EXPORT_MODULES = [
    f"medical_transfer.{name}"
    for name in ("models", "evaluation.shipping", "metrics.classification", "metrics.thresholds")
]


def train_students(  # noqa: PLR0913, PLR0917 - a node's inputs
    manifest: pd.DataFrame,
    image_cache: ImageCache,
    finetuned_model: TrainedModel,
    images: Images,
    model: Model,
    training: Training,
    augmentation: Augmentation,
    evaluation: Evaluation,
    backbones: Backbones,
    folders: Folders,
    run: Run,
    medical_distillation: MedicalDistillation,
) -> tuple[TrainedModel, TrainedModel]:
    """Train the student by its teacher, and the same student by labels alone; all else is equal."""
    asked = medical_distillation
    source = find_source(asked.student, backbones)
    network = model.model_copy(update={"freeze": asked.freeze, "trainable_stages": asked.trainable_stages})
    alone = asked.alone(training)
    taught = training.distill.model_copy(update={"teacher": (finetuned_model.folder,)})
    site, root = (manifest, image_cache), folders.models / TASK

    def trained(how: Training) -> TrainedModel:
        recipe = Recipe(source, images, network, how, augmentation, evaluation, backbones, folders, run.seed)
        return train_once(recipe, site, site, root)  # neither looks at a second site

    return trained(alone.model_copy(update={"kind": "distill", "distill": taught})), trained(alone)


def predict_students(
    distilled_model: TrainedModel,
    student_alone_model: TrainedModel,
    manifest: pd.DataFrame,
    image_cache: ImageCache,
    evaluation: Evaluation,
    folders: Folders,
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Calibrated probabilities of every usable image under both students."""
    of_both = (
        predict_once(model, manifest, image_cache, evaluation, folders.predictions / TASK)
        for model in (distilled_model, student_alone_model)
    )
    distilled, alone = of_both
    return distilled, alone


def export(
    distilled_model: TrainedModel,
    manifest: pd.DataFrame,
    image_cache: ImageCache,
    folders: Folders,
    run: Run,
    medical_distillation: MedicalDistillation,
) -> ExportedModel:
    """Write the distilled student as ONNX and int8, and hold both against torch on validation images."""
    facts = {
        "model": distilled_model.card.model_dump(mode="json"),
        "cache": image_cache.key,
        "split": split_hash(manifest),
        "seed": run.seed,
    }
    bounds = medical_distillation.int8
    key = content_key(inputs=facts, parameters=[bounds], modules=EXPORT_MODULES)

    def compute(folder: Path) -> None:
        from medical_transfer.evaluation.shipping import ship  # noqa: PLC0415 - brings torch

        ship(distilled_model, manifest, image_cache, bounds, folder=folder, seed=run.seed)

    return ExportedModel(once(folders.models / "exported", key, compute))


def predict_exported(
    exported_model: ExportedModel,
    distilled_model: TrainedModel,
    manifest: pd.DataFrame,
    image_cache: ImageCache,
    folders: Folders,
) -> pd.DataFrame:
    """Probabilities of validation and test images by both graphs; column `engine` says which."""
    facts = {"files": exported_model.facts["files"], "cache": image_cache.key, "split": split_hash(manifest)}
    key = content_key(
        inputs=facts, parameters=[], modules=[*PREDICTION_MODULES, "medical_transfer.evaluation.by_graph"]
    )

    def compute(folder: Path) -> None:
        from medical_transfer.evaluation.by_graph import predict_by_graphs  # noqa: PLC0415 - brings onnxruntime

        table = predict_by_graphs(exported_model, distilled_model.card, manifest, image_cache)
        table.to_parquet(folder / "predictions.parquet", index=False)

    return pd.read_parquet(once(folders.predictions / "exported", key, compute) / "predictions.parquet")


def time_engines(
    finetuned_model: TrainedModel,
    distilled_model: TrainedModel,
    exported_model: ExportedModel,
    manifest: pd.DataFrame,
    image_cache: ImageCache,
    medical_distillation: MedicalDistillation,
) -> dict[str, Any]:
    """What teacher, student and graphs cost: parameters, multiplications, bytes, and seconds measured in turn here."""
    from medical_transfer.evaluation.costs import costs_of, machine  # noqa: PLC0415 - brings torch

    slots_n = image_cache.slots(readable(manifest, "val")["image_id"][:32])
    found = costs_of(
        finetuned_model,
        distilled_model,
        exported_model,
        image_cache.pixels_NSS3[slots_n],
        rounds=medical_distillation.timing_rounds,
    )
    return {"models": found, "machine": machine()}


def measure(  # noqa: PLR0913, PLR0917 - a node's inputs
    finetuned_predictions: pd.DataFrame,
    student_alone_predictions: pd.DataFrame,
    distilled_predictions: pd.DataFrame,
    exported_predictions: pd.DataFrame,
    finetuned_model: TrainedModel,
    student_alone_model: TrainedModel,
    distilled_model: TrainedModel,
    exported_model: ExportedModel,
    manifest: pd.DataFrame,
    evaluation: Evaluation,
    run: Run,
) -> dict[str, Any]:
    """Metrics of all five with intervals, and paired differences."""
    teacher, student = finetuned_model.card, distilled_model.card
    tables = {TEACHER: finetuned_predictions, ALONE: student_alone_predictions, DISTILLED: distilled_predictions}
    for engine in (ONNX, INT8):
        tables[engine] = exported_predictions[exported_predictions["engine"] == engine].drop(columns="engine")
    cards = {TEACHER: teacher, ALONE: student_alone_model.card} | dict.fromkeys((DISTILLED, ONNX, INT8), student)
    minority = minority_of(manifest, teacher.classes, teacher.positive_class)
    seed = derive_seed(run.seed, "bootstrap")
    judged = judge(tables, cards, minority=minority, config=evaluation, seed=seed)
    export = {name: value for name, value in exported_model.facts.items() if name != "card"}
    told: dict[str, Any] = without_nan({**judged["models"][DISTILLED], **judged, "export": export})
    return told


def report(
    distilled_evaluation: dict[str, Any],
    distilled_costs: dict[str, Any],
    distilled_model: TrainedModel,
    finetuned_model: TrainedModel,
    run: Run,
) -> tuple[Figure, str]:
    """The models side by side as a figure, and the page."""
    from medical_transfer.reporting.distilled_figure import students_figure  # noqa: PLC0415 - matplotlib's fonts
    from medical_transfer.reporting.distilled_report import Students, render_students  # noqa: PLC0415
    from medical_transfer.reporting.embedding import png_of  # noqa: PLC0415

    figure = students_figure(distilled_evaluation, distilled_costs["models"])
    cards = {TEACHER: finetuned_model.card, DISTILLED: distilled_model.card}
    facts = {name: card.model_dump(mode="json") for name, card in cards.items()}
    students = Students(distilled_evaluation, distilled_costs["models"], distilled_costs["machine"], facts, run.seed)
    return figure, render_students(students, png_of(figure))
