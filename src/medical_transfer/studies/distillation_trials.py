"""The teachers of the study of distillation, and what is measured beside the metrics of all studies."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pandas as pd

from medical_transfer.data.manifest import usable_rows
from medical_transfer.runtime.files import read_json
from medical_transfer.studies import main_job
from medical_transfer.studies.distillation_names import RECALL, TEACHER
from medical_transfer.studies.inner_session import Stages, run_stages
from medical_transfer.studies.place import Place
from medical_transfer.studies.trials import Done, Measured, Trial

logger = logging.getLogger(__name__)

TAUGHT = Stages(main_job.TRIED.names, (*main_job.TRIED.outputs, "finetuned_model"))


def images_by_class(manifest: pd.DataFrame) -> dict[str, int]:
    """Usable images of each class, of all splits together: the same under every seed."""
    counts = manifest.loc[usable_rows(manifest), "label"].value_counts()
    return {str(name): int(count) for name, count in counts.items()}


def teach(place: Place, handed: Mapping[str, Any], seed: int, freeze: str) -> tuple[Path, Done]:
    """The folder of the main job's model under one seed, and what it reaches; a model that is there is kept.

    `freeze` says what of it does not learn (`model.freeze`).

    Raises:
        UserError: where it cannot be trained.
    """
    root = place.root / "teachers" / str(seed)
    given = place.parameters_of(root, seed, {"model": {"freeze": freeze}})
    folder: Path = run_stages(place.session, TAUGHT, given, given=handed, wanted=("finetuned_model",))[
        "finetuned_model"
    ].folder
    measured, seconds = main_job.measured_in(root, place.judged)
    logger.info("Study %s: the teacher of seed %d is %s", place.name, seed, folder.name)
    done = Done(f"{TEACHER}/{folder.name}", Trial(TEACHER, "labels", seed), round(seconds, 2), tuple(measured))
    return folder, with_more_metrics(root, done, images_by_class(handed["manifest"]))


def with_more_metrics(root: Path, done: Done, counts: Mapping[str, int]) -> Done:
    """The same trial with its validation metrics and the test recall of the class of the fewest images."""
    evaluation = read_json(root / "08_reporting/finetuned_evaluation.json")
    val = [
        Measured(f"val_{name}", row["estimate"], row["low"], row["high"], row["n"])
        for name, row in evaluation["val"].items()
    ]
    return replace(done, measured=(*done.measured, minority_recall(evaluation["about"], counts), *val))


def minority_recall(about: Mapping[str, Any], counts: Mapping[str, int]) -> Measured:
    """Which share of the rarest class the decisions find; of equally rare classes the positive one, else the last."""
    classes = list(about["classes"])
    rarest = min(classes, key=lambda name: (counts[name], name != about["positive"], -classes.index(name)))
    row = about["confusion"]["test"][classes.index(rarest)]
    return Measured(RECALL, row[classes.index(rarest)] / sum(row), None, None, sum(row))
