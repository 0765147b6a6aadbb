"""Exercise 4: how a student's quality depends on temperature and on the weight of the teacher's part.

A seed gives a split, one teacher (the main job's model), and a student's first weights and order of images, so that all
students of a seed are compared in pairs. The setting is chosen on validation and reported on test.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pandas as pd
from kedro.pipeline import Pipeline

from medical_transfer.config.folders import Folders
from medical_transfer.config.study_distillation import StudyDistillation
from medical_transfer.hooks.this_session import SessionFacts
from medical_transfer.studies.distillation_names import ALONE, DISTILLED, NAME, TEACHER, settings_of
from medical_transfer.studies.pipeline import one_source, study_pipeline
from medical_transfer.studies.trials import Trial
from medical_transfer.types import Figure

if TYPE_CHECKING:
    from pathlib import Path


Handed = dict[str, Any]


def run(
    study_distillation: StudyDistillation, folders: Folders, this_session: SessionFacts
) -> tuple[pd.DataFrame, list[dict[str, Any]]]:
    """Train a teacher for each seed, then all students that are not finished.

    Returns:
        The table of results, and the trials that failed with their sentences.

    Raises:
        UserError: a teacher cannot be trained, or no student ended well.
    """
    from medical_transfer.studies.distillation_trials import (  # noqa: PLC0415 - quick command line
        images_by_class,
        teach,
        with_more_metrics,
    )
    from medical_transfer.studies.place import Place  # noqa: PLC0415
    from medical_transfer.studies.runner import prepare, run_trials  # noqa: PLC0415
    from medical_transfer.studies.table import results_table, told_of  # noqa: PLC0415

    study = study_distillation
    place = Place(NAME, this_session, folders, one_source(study.teacher, study.image_size))
    learning = replace(place, parameters=place.parameters | {"model": {"freeze": study.teacher_freeze}})
    handed = prepare(learning, study.seeds)
    taught = {seed: teach(place, handed[seed], seed, study.teacher_freeze) for seed in study.seeds}
    of_students = replace(place, parameters=one_source(study.student, study.image_size))
    trials = grid(study, {seed: folder for seed, (folder, _) in taught.items()})
    done, failures = run_trials(of_students, trials, _with_student(handed, study))
    counts = images_by_class(handed[study.seeds[0]]["manifest"])
    students = [with_more_metrics(place.root / each.trial_id, each, counts) for each in done]
    return results_table([*(done for _, done in taught.values()), *students], failures), told_of(failures)


def draw(results: pd.DataFrame, study_distillation: StudyDistillation) -> Figure:
    """Heat maps of test AUROC, minority recall and calibration error over temperature and weight."""
    from medical_transfer.reporting.distillation_maps import distillation_figure  # noqa: PLC0415 - fonts
    from medical_transfer.studies.distillation_names import REPORTED, by_seed, chosen  # noqa: PLC0415

    means = {name: by_seed(results, name).mean() for name in REPORTED}
    settings = settings_of(study_distillation)
    best = chosen(results, study_distillation)
    return distillation_figure(means, settings=settings, marked=best, controls=(ALONE, TEACHER))


def conclude(
    results: pd.DataFrame,
    failures: list[dict[str, Any]],
    study_distillation: StudyDistillation,
    this_session: SessionFacts,
) -> str:
    """The summary: the setting chosen, whether it matters, how much of the gap it closes, and what it cannot say."""
    from medical_transfer.studies.distillation_summary import summary  # noqa: PLC0415 - scipy

    return summary(results, failures, study_distillation, this_session.parameters)


def create_pipeline() -> Pipeline:
    """Images -> table, figure and summary of the study."""
    return study_pipeline(NAME, run=run, figures={"heat_maps": draw}, conclude=conclude)


def grid(study: StudyDistillation, teachers: dict[int, Path]) -> list[Trial]:
    """The control and the whole grid for each seed, so that a study that is stopped early has whole grids."""
    points = [(ALONE, "w=0", 1.0, 0.0), *((DISTILLED, name, *pair) for name, pair in settings_of(study).items())]
    return [
        Trial(method, name, seed, parameters_of(study, teachers[seed], temperature, weight))
        for seed in study.seeds
        for method, name, temperature, weight in points
    ]


def parameters_of(study: StudyDistillation, teacher: Path, temperature: float, soft_weight: float) -> dict[str, Any]:
    """Runtime parameters of a student; the control differs in the weight alone and sees the same views."""
    distill = {"teacher": [str(teacher)], "temperature": temperature, "soft_weight": soft_weight}
    finetune = {"head_first": False, "multiplier": 1.0, "batch_norm": "adapt", "learning_rate": study.learning_rate}
    return {
        "model": {"freeze": "none"},
        "training": {
            "kind": "distill",
            "distill": distill,
            "finetune": finetune,
            "batch_size": study.batch_size,
            "steps_per_epoch": study.steps // study.rounds,
            "epochs": study.rounds,
            "patience": study.rounds,
        },
    }


def _with_student(handed: dict[int, Handed], study: StudyDistillation) -> dict[int, Handed]:
    chosen = {"chosen": study.student, "reason": "the student of the study"}
    return {seed: {**each, "transferability": chosen} for seed, each in handed.items()}
