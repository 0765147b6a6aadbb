"""Exercise 5: which way of learning from a few images does how well, on characters that were never seen.

All methods have the same first network, characters and episodes to learn from under a seed, and the same test episodes.
A seed gives first weights and episodes; the division of the characters is the same for all.
"""

from __future__ import annotations

from typing import Any

import pandas as pd
from kedro.pipeline import Pipeline

from medical_transfer.config.folders import Folders
from medical_transfer.config.study_few_shot import StudyFewShot
from medical_transfer.hooks.this_session import SessionFacts
from medical_transfer.studies.few_shot_budgets import CHEAP
from medical_transfer.studies.few_shot_names import NAME, SETTING
from medical_transfer.studies.pipeline import study_pipeline
from medical_transfer.studies.trials import Trial
from medical_transfer.types import Figure


def run(
    study_few_shot: StudyFewShot, _folders: Folders, this_session: SessionFacts
) -> tuple[pd.DataFrame, list[dict[str, Any]]]:
    """Run all trials that are not finished.

    Returns:
        The table of results, and the trials that failed with their sentences.

    Raises:
        UserError: Omniglot is missing or too small, or no trial ended well.
    """
    from medical_transfer.studies.few_shot_characters import divided, facts_of  # noqa: PLC0415 - quick command line
    from medical_transfer.studies.few_shot_trials import Given, run_all  # noqa: PLC0415 - brings torch
    from medical_transfer.studies.table import results_table, told_of  # noqa: PLC0415

    study, root = study_few_shot, this_session.run_root / "studies" / NAME
    done, failures = run_all(Given(study, facts_of(study), divided(study), root), grid(study))
    return results_table(done, failures), told_of(failures)


def draw(results: pd.DataFrame, study_few_shot: StudyFewShot) -> Figure:
    """Accuracy against shots for each method, and against inner steps for those that adapt."""
    from medical_transfer.reporting.few_shot_curves import few_shot_figure  # noqa: PLC0415 - fonts
    from medical_transfer.studies.few_shot_names import NAMES, accuracy, after, rows_of  # noqa: PLC0415

    study = study_few_shot
    by_shots = {shots: rows_of(results, accuracy(shots)) for shots in sorted(study.shots)}
    by_steps = {steps: rows_of(results, after(steps)) for steps in range(study.curve_steps + 1)}
    return few_shot_figure(by_shots, by_steps, names=NAMES, curve_shots=study.curve_shots)


def conclude(
    results: pd.DataFrame, failures: list[dict[str, Any]], study_few_shot: StudyFewShot, this_session: SessionFacts
) -> str:
    """The summary: best methods beside the goals, all numbers, what adaptation gives, budgets, limits."""
    from medical_transfer.studies.few_shot_summary import summary  # noqa: PLC0415 - quick command line

    return summary(results, failures, study_few_shot, this_session.parameters)


def create_pipeline() -> Pipeline:
    """Characters -> table, figure and summary of the study."""
    return study_pipeline(NAME, run=run, figures={"accuracies": draw}, conclude=conclude)


def grid(study: StudyFewShot) -> list[Trial]:
    """One trial for each method and seed, in the order of the methods."""
    return [
        Trial(method, SETTING, seed)
        for method in study.methods
        for seed in (study.seeds_cheap if method in CHEAP else study.seeds)
    ]
