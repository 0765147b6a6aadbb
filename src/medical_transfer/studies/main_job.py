"""The main job as studies run it: what trials of one seed share, what a trial runs, and what is measured of it."""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pandas as pd

from medical_transfer.config.backbones import Backbones
from medical_transfer.config.images import Images
from medical_transfer.config.training import Training
from medical_transfer.data.dataset import class_names
from medical_transfer.data.manifest import readable
from medical_transfer.models.backbones import find_source
from medical_transfer.models.teacher_cards import facts_of_teachers, read_teachers
from medical_transfer.pipelines.evaluation.nodes import PREDICTION_MODULES
from medical_transfer.pipelines.training.nodes import MODULES as TRAINING_MODULES
from medical_transfer.pipelines.training.nodes import facts_of_target
from medical_transfer.runtime.files import read_json
from medical_transfer.splits.leakage import split_hash
from medical_transfer.studies.inner_session import Stages
from medical_transfer.studies.trials import Measured
from medical_transfer.types import Split

PREPARED = Stages(
    ("ingestion", "split", "target_ingestion", "target_split", "transferability"),
    ("transferability", "target_manifest"),
)
"""Decoding, split and choice of the source depend on the seed and not on how a network is trained."""

HANDED = ("manifest", "image_cache", "target_manifest", "target_image_cache", "transferability")
"""What a trial reads of them."""

TRIED = Stages(("model_building", "training", "evaluation"), ("finetuned_evaluation", "finetuned_history"))

SOURCE_MODULES = (
    *TRAINING_MODULES,
    *PREDICTION_MODULES,
    "medical_transfer.evaluation",
    "medical_transfer.pipelines.model_building.nodes",
    "medical_transfer.pipelines.evaluation.nodes",
    *(
        f"medical_transfer.config.{name}"
        for name in ("images", "model", "training", "adaptation", "distill", "augmentation", "evaluation")
    ),
    "medical_transfer.studies.main_job",
)
"""A finished trial is not repeated unless the text of one of these changes."""

SHAPING = ("model", "training", "augmentation", "evaluation")
"""Blocks that shape a trial. What `images`, `split`, `transferability` and `backbones` give is among the facts."""

COUNTED = "trainable_parameters"


def shaping(parameters: Mapping[str, Any]) -> dict[str, Any]:
    """The parameters that a trial's key holds: not where images lie or how they are read, only what comes of it."""
    images = Images.model_validate(parameters["images"])
    named = {"positive_class": images.positive_class, "licence": images.licence}
    return {"images": named, **{name: parameters[name] for name in SHAPING}}


def facts_of(handed: Mapping[str, Any], parameters: Mapping[str, Any]) -> dict[str, Any]:
    """What a trial rests on, for its key: pixels, split, pretrained weights, teachers; `parameters` are the trial's."""
    source = find_source(handed["transferability"]["chosen"], Backbones.model_validate(parameters["backbones"]))
    training = Training.model_validate(parameters["training"])
    return {
        "cache": handed["image_cache"].key,
        "split": split_hash(handed["manifest"]),
        "source": source.identity,
        **facts_of_target(training, handed["target_manifest"], handed["target_image_cache"]),
        **(facts_of_teachers(read_teachers(training.distill.teacher)) if training.kind == "distill" else {}),
    }


def training_images(manifest: pd.DataFrame) -> dict[str, int]:
    """Usable training images of each class."""
    counts = readable(manifest, "train")["label"].value_counts()
    return {name: int(counts.get(name, 0)) for name in class_names(manifest)}


def measured_in(root: Path, judged: Split = "test") -> tuple[list[Measured], float]:
    """All metrics of the images of one split, how many parameters learned, and the seconds of the training stage.

    Names of metrics begin with the split unless that is test. The seconds count what was found ready (features of the
    frozen part, which trials share) with what it had cost. A trial that was killed and gone on with has the time of its
    last process only, so they are never fewer than those of all epochs of its history.
    """
    evaluation = read_json(root / "08_reporting/finetuned_evaluation.json")
    prefix = "" if judged == "test" else f"{judged}_"
    found = [
        Measured(f"{prefix}{name}", row["estimate"], row["low"], row["high"], row["n"])
        for name, row in evaluation[judged].items()
    ]
    plan = read_json(root / "06_models/model_plan.json")
    learning = plan["trainable"]
    counted = Measured(COUNTED, learning, learning, learning, evaluation[judged]["auroc"]["n"])
    spent = read_json(root / "08_reporting/timing.json")["training"]
    epochs = pd.read_parquet(root / "08_reporting/finetuned_history.parquet", columns=["seconds"])
    return [*found, counted], max(spent["seconds"] + spent["reused_seconds"], float(epochs["seconds"].sum()))


def tidy(root: Path) -> None:
    """Remove the weights: predictions and numbers of a trial stay, hundreds of networks would fill a disk."""
    shutil.rmtree(root / "06_models", ignore_errors=True)
