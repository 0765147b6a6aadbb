"""Exercise 5 on medical classes: is meta-learning worth more than frozen features, on a modality that it never saw?

Each modality in turn is tested on: its sets are seen in no other part of its fold. All methods stand on the same frozen
features of a pretrained source and are asked about the same test episodes, two classes of one set at a time.
"""

from __future__ import annotations

from typing import Any

import pandas as pd
from kedro.pipeline import Pipeline

from medical_transfer.config.folders import Folders
from medical_transfer.config.study_few_shot_medical import StudyFewShotMedical
from medical_transfer.hooks.this_session import SessionFacts
from medical_transfer.studies.few_shot_medical_names import NAME
from medical_transfer.studies.pipeline import study_pipeline
from medical_transfer.types import Figure, UserError


def run(
    study_few_shot_medical: StudyFewShotMedical, folders: Folders, this_session: SessionFacts
) -> tuple[pd.DataFrame, list[dict[str, Any]]]:
    """Compute features and run all trials that are not finished.

    Returns:
        The table of results, and what was left out or failed with its sentence.

    Raises:
        UserError: a source is unknown, no modality can be tested on, nothing validates, or no trial ended well.
    """
    from medical_transfer.config.backbones import Backbones  # noqa: PLC0415 - quick command line
    from medical_transfer.models.backbones import check_names, find_source  # noqa: PLC0415
    from medical_transfer.studies.few_shot_medical_sets import (  # noqa: PLC0415 - brings torch
        folds_of,
        large_enough,
        numbers_of,
        sets_of,
        whole_set,
    )
    from medical_transfer.studies.few_shot_medical_trials import Given, digest_of, grid, run_all  # noqa: PLC0415
    from medical_transfer.studies.place import Place  # noqa: PLC0415
    from medical_transfer.studies.prepared_targets import prepare_targets  # noqa: PLC0415
    from medical_transfer.studies.table import results_table, told_of  # noqa: PLC0415

    study, own = study_few_shot_medical, Backbones.model_validate(this_session.parameters.get("backbones", {}))
    names = (study.source, study.teacher_source)
    check_names(names, own)
    place = Place(NAME, this_session, folders, {"backbones": own.model_dump(mode="json")})
    there, missing = sets_of(study, this_session)
    ready, unread = prepare_targets(place, there, study, [0])
    if not ready:
        raise UserError(f"No set of study {NAME} can be used; the first said: {unread[0].sentence}")
    whole = whole_set(ready, study, {name: find_source(name, own) for name in names}, place, own)
    fit, small = large_enough(whole, study)
    folds, lacking = folds_of(whole, study, fit)
    if not folds:
        raise UserError(f"No modality can be tested on: {' '.join(each.sentence for each in (*small, *lacking))}")
    given = Given(study, {fold.modality: fold for fold in folds}, digest_of(whole), place.root)
    done, failures = run_all(given, grid(study, folds))
    failures = [*missing, *unread, *small, *lacking, *failures]
    return results_table([*numbers_of(whole, fit), *done], failures), told_of(failures)


def draw(results: pd.DataFrame, study_few_shot_medical: StudyFewShotMedical) -> Figure:
    """Accuracy against shots for each method, one panel for each modality."""
    from medical_transfer.reporting.few_shot_curves import few_shot_panels  # noqa: PLC0415 - fonts
    from medical_transfer.studies.few_shot_medical_gains import of_modality  # noqa: PLC0415
    from medical_transfer.studies.few_shot_medical_names import NAMES  # noqa: PLC0415
    from medical_transfer.studies.few_shot_names import accuracy, rows_of  # noqa: PLC0415

    shots = sorted(study_few_shot_medical.shots)
    found = {
        modality: {each: rows_of(of_modality(results, modality), accuracy(each)) for each in shots}
        for modality in study_few_shot_medical.held_out
    }
    return few_shot_panels(found, names={name: NAMES[name] for name in study_few_shot_medical.methods})


def conclude(
    results: pd.DataFrame,
    failures: list[dict[str, Any]],
    study_few_shot_medical: StudyFewShotMedical,
    this_session: SessionFacts,
) -> str:
    """The summary: whether meta-learning beats the baselines, all numbers, folds, budgets, limits."""
    from medical_transfer.studies.few_shot_medical_summary import summary  # noqa: PLC0415 - quick command line

    return summary(results, failures, study_few_shot_medical, this_session.parameters)


def create_pipeline() -> Pipeline:
    """Sets of images -> table, figure and summary of the study."""
    return study_pipeline(NAME, run=run, figures={"accuracies": draw}, conclude=conclude)
