"""Nodes of adaptation. Labels of the second site are read in `train_candidates` for the bound, and in `measure`."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
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
from medical_transfer.data.dataset import LabelledRows, class_names, without_labels
from medical_transfer.data.manifest import readable
from medical_transfer.evaluation.evaluate import evaluate
from medical_transfer.evaluation.label_free import choose
from medical_transfer.models.backbones import find_source
from medical_transfer.models.card import TrainedModel
from medical_transfer.models.recipe import Recipe
from medical_transfer.pipelines.adaptation.candidates import (
    ORACLE,
    SOURCE_ONLY,
    TASK,
    models_of,
    prior_of,
    why_no_oracle,
)
from medical_transfer.pipelines.evaluation.nodes import PREDICTION_MODULES
from medical_transfer.pipelines.training.nodes import train_once
from medical_transfer.runtime.files import read_json, without_nan, write_json
from medical_transfer.runtime.seeds import derive_seed, generator
from medical_transfer.runtime.stage import content_key, once
from medical_transfer.splits.leakage import split_hash
from medical_transfer.training.learning_set import unlabelled_set
from medical_transfer.types import Figure

INVARIANCE_MODULES = [f"medical_transfer.{name}" for name in ("models", "evaluation.embedded", "metrics.invariance")]


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
    root, source = folders.models / TASK, find_source(model_plan["source"], backbones)
    recipe = Recipe(source, images, model, training, augmentation, evaluation, backbones, folders, run.seed)
    here, there = (manifest, image_cache), (target_manifest, target_image_cache)
    unlabelled_set(*there, batch_size=training.batch_size)  # refuses too small a site before anything is trained

    def key_of(kind: str, site: tuple[pd.DataFrame, ImageCache], licensed: Images) -> str:
        one = replace(recipe, images=licensed, training=training.model_copy(update={"kind": kind}))
        return train_once(one, site, there, root).folder.name

    keys = {SOURCE_ONLY: key_of("finetune", here, images)}
    keys |= {kind: key_of(kind, here, images) for kind in medical_adaptation.methods}
    missing = why_no_oracle(target_manifest, class_names(manifest), strict=target_images.strict_unlabelled)
    if missing is None:
        keys[ORACLE] = key_of("finetune", there, images.model_copy(update={"licence": target_images.licence}))
    return {"keys": keys, "no_oracle": missing}


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


def choose_without_labels(
    adaptation_predictions: pd.DataFrame,
    adaptation_candidates: dict[str, Any],
    manifest: pd.DataFrame,
    folders: Folders,
    medical_adaptation: MedicalAdaptation,
) -> tuple[dict[str, Any], TrainedModel, pd.DataFrame]:
    """Take a method by a score without labels; name what speaks against each."""
    classes = class_names(manifest)
    unlabelled = adaptation_predictions.drop(columns="label")
    names = [name for name in adaptation_candidates["keys"] if name != ORACLE]
    candidates = {name: unlabelled[unlabelled["method"] == name] for name in names}
    prior_C = prior_of(manifest, classes)
    choice = choose(candidates, classes, by=medical_adaptation.choose_by, source_prior_C=prior_C)
    taken = adaptation_predictions[adaptation_predictions["method"] == choice["chosen"]]
    model = models_of(adaptation_candidates["keys"], folders.models)[choice["chosen"]]
    return without_nan({**choice}), model, taken.drop(columns="method").reset_index(drop=True)


def measure_invariance(
    adaptation_candidates: dict[str, Any],
    manifest: pd.DataFrame,
    image_cache: ImageCache,
    target_manifest: pd.DataFrame,
    target_image_cache: ImageCache,
    folders: Folders,
    run: Run,
    medical_adaptation: MedicalAdaptation,
) -> dict[str, float]:
    """How well a fresh classifier tells the sites apart by each model's features of validation images (0 to 2)."""
    at_most, caches = medical_adaptation.invariance_images, {"source": image_cache, "target": target_image_cache}
    shown = {
        name: _drawn(frame, caches[name], at_most, generator(run.seed, f"invariance/{name}"))
        for name, frame in (("source", manifest), ("target", target_manifest))
    }
    models = models_of(adaptation_candidates["keys"], folders.models)
    return {name: _distance(model, shown, caches, folders, run) for name, model in models.items()}


def _drawn(manifest: pd.DataFrame, cache: ImageCache, at_most: int, rng: np.random.Generator) -> LabelledRows:
    """Validation images of a site, whatever their labels."""
    val = readable(manifest, "val")
    return without_labels(val.iloc[np.sort(rng.permutation(len(val))[:at_most])], cache)


def _distance(
    model: TrainedModel, shown: dict[str, LabelledRows], caches: dict[str, ImageCache], folders: Folders, run: Run
) -> float:
    facts = {name: [caches[name].key, list(rows.image_ids), rows.groups_N.tolist()] for name, rows in shown.items()}
    key = content_key(inputs={"model": model.card.sha256, **facts}, parameters=[], modules=INVARIANCE_MODULES)

    def compute(folder: Path) -> None:
        from medical_transfer.evaluation.embedded import embed_images  # noqa: PLC0415 - brings torch
        from medical_transfer.metrics.invariance import proxy_a_distance  # noqa: PLC0415

        here, there = (embed_images(model, caches[name], rows.slots_N) for name, rows in shown.items())
        groups = [rows.groups_N for rows in shown.values()]
        rng = generator(run.seed, "invariance")
        found = proxy_a_distance(here, there, rng, source_groups_N=groups[0], target_groups_M=groups[1])
        write_json(folder / "invariance.json", found)

    return float(read_json(once(folders.predictions / "invariance", key, compute) / "invariance.json"))


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
    aurocs = {name: found["test"]["auroc"]["estimate"] for name, found in measured.items() if name != ORACLE}
    known = {name: value for name, value in aurocs.items() if not np.isnan(value)}
    best, chosen = max(known, key=lambda name: known[name], default=None), adaptation_choice["chosen"]
    gap = known[best] - known[chosen] if best is not None and chosen in known else None
    told: dict[str, Any] = without_nan(
        {
            **measured[chosen],
            "methods": measured,
            "chosen": chosen,
            "best_by_labels": best,
            "gap": gap,
            "no_oracle": adaptation_candidates["no_oracle"],
        }
    )
    return told


def report(
    adapted_evaluation: dict[str, Any],
    adaptation_choice: dict[str, Any],
    adaptation_invariance: dict[str, Any],
    adaptation_candidates: dict[str, Any],
    run: Run,
) -> tuple[Figure, str]:
    """The models side by side as a figure, and the page."""
    from medical_transfer.reporting.adaptation_figure import methods_figure  # noqa: PLC0415 - matplotlib's fonts
    from medical_transfer.reporting.adaptation_report import Compared, render_adaptation  # noqa: PLC0415
    from medical_transfer.reporting.embedding import png_of  # noqa: PLC0415

    figure = methods_figure(adapted_evaluation["methods"], chosen=adapted_evaluation["chosen"])
    missing = adaptation_candidates["no_oracle"]
    compared = Compared(adapted_evaluation, adaptation_choice, adaptation_invariance, missing, run.seed)
    return figure, render_adaptation(compared, png_of(figure))
