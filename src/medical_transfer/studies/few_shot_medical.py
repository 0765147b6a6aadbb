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
from medical_transfer.types import Figure


def run(
    study_few_shot_medical: StudyFewShotMedical, folders: Folders, this_session: SessionFacts
) -> tuple[pd.DataFrame, list[dict[str, Any]]]:
    """Compute features and run all trials that are not finished.

    Returns:
        The table of results, and what was left out or failed with its sentence.

    Raises:
        UserError: a source is unknown, no modality can be tested on, nothing validates, or no trial ended well.
    """
    from medical_transfer.studies.few_shot_medical_ready import check_sources, ready_for  # noqa: PLC0415 - brings torch
    from medical_transfer.studies.few_shot_medical_trials import Given, digest_of, grid, run_all  # noqa: PLC0415
    from medical_transfer.studies.place import Place  # noqa: PLC0415
    from medical_transfer.studies.table import results_table, told_of  # noqa: PLC0415

    study = study_few_shot_medical
    backbones = check_sources(study, this_session)
    place = Place(NAME, this_session, folders, {"backbones": backbones.model_dump(mode="json")})
    ready = ready_for(study, place, backbones)
    given = Given(study, {fold.modality: fold for fold in ready.folds}, digest_of(ready.whole), place.root)
    done, failures = run_all(given, grid(study, ready.folds))
    failures = [*ready.failures, *failures]
    return results_table([*ready.sizes, *done], failures), told_of(failures)


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
