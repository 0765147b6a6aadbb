"""Exercise 1: what are scores of sources worth? All scores of the training images against what was reached in the test.

Each target is read once and divided anew under each seed. Frozen features of a source are computed once for a target;
scores see the training rows of a seed, a linear probe and fine-tuning are judged on its test rows.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pandas as pd
from kedro.pipeline import Pipeline

from medical_transfer.config.backbones import Backbones
from medical_transfer.config.folders import Folders
from medical_transfer.config.study_transferability import StudyTransferability
from medical_transfer.hooks.this_session import SessionFacts
from medical_transfer.studies.pipeline import study_pipeline
from medical_transfer.studies.transferability_names import NAME
from medical_transfer.types import Figure, UserError


def run(
    study_transferability: StudyTransferability, folders: Folders, this_session: SessionFacts
) -> tuple[pd.DataFrame, list[dict[str, Any]], dict[str, Any]]:
    """Measure all targets, sources and seeds that are not measured yet.

    Returns:
        The table of results; what failed, with its sentence; how scores agree with outcomes (`agreement.json`).

    Raises:
        UserError: a source is unknown, there is no target, no target can be used, or no trial ended well.
    """
    from medical_transfer.studies.frozen_trials import measure_frozen  # noqa: PLC0415 - quick command line
    from medical_transfer.studies.place import Place  # noqa: PLC0415
    from medical_transfer.studies.prepared_targets import prepare_targets  # noqa: PLC0415
    from medical_transfer.studies.table import results_table, told_of  # noqa: PLC0415
    from medical_transfer.studies.targets import targets_of  # noqa: PLC0415
    from medical_transfer.studies.tuned_targets import fine_tune  # noqa: PLC0415

    backbones = backbones_of(study_transferability, this_session)
    sources = sources_of(study_transferability, backbones)
    place = Place(NAME, this_session, folders, {"backbones": backbones.model_dump(mode="json")})
    targets = targets_of(study_transferability, this_session)
    ready, failures = prepare_targets(place, targets, study_transferability, study_transferability.seeds)
    if not ready:
        raise UserError(f"No target of study {NAME} can be used; the first said: {failures[0].sentence}")
    frozen = measure_frozen(place, ready, sources, study_transferability, backbones)
    tuned, untuned = fine_tune(place, ready, sources, study_transferability)
    failures = [*failures, *frozen.failures, *untuned]
    results = results_table([*frozen.done, *tuned], failures)
    return results, told_of(failures), told(results, sources, frozen.undefined)


def told(results: pd.DataFrame, sources: Sequence[Any], undefined: dict[str, dict[str, str]]) -> dict[str, Any]:
    """The content of `agreement.json`: outcomes, facts about the sources, and why scores have no value."""
    from medical_transfer.studies.transferability_agreement import agreements  # noqa: PLC0415 - quick command line
    from medical_transfer.transferability.agreement_file import to_json  # noqa: PLC0415

    facts = {
        each.name: {"domain": each.domain, "trainable": each.trainable, "parameters": each.parameters}
        for each in sources
    }
    outcomes = to_json(agreements(results, [each.name for each in sources]))
    return {"outcomes": outcomes, "sources": facts, "undefined": undefined}


def draw_outcomes(results: pd.DataFrame, agreement: dict[str, Any], _study: StudyTransferability) -> Figure:
    """What every source reached on every target."""
    from medical_transfer.reporting.source_outcomes import outcomes_figure  # noqa: PLC0415 - fonts
    from medical_transfer.studies.transferability_tables import outcome_means  # noqa: PLC0415

    return outcomes_figure(outcome_means(results, list(agreement["sources"])))


def draw_scores(results: pd.DataFrame, agreement: dict[str, Any], _study: StudyTransferability) -> Figure:
    """Every score against the outcome."""
    from medical_transfer.reporting.source_outcomes import scores_figure  # noqa: PLC0415 - fonts
    from medical_transfer.studies.transferability_tables import score_points, taus  # noqa: PLC0415

    return scores_figure(score_points(results, agreement), taus(agreement))


def draw_mmd(results: pd.DataFrame, agreement: dict[str, Any], _study: StudyTransferability) -> Figure:
    """The chapter's score with its MMD term, literal and sound, against performance."""
    from medical_transfer.reporting.source_outcomes import mmd_figure  # noqa: PLC0415 - fonts
    from medical_transfer.studies.transferability_tables import score_points, taus  # noqa: PLC0415

    return mmd_figure(score_points(results, agreement), taus(agreement))


def conclude(
    results: pd.DataFrame,
    failures: list[dict[str, Any]],
    agreement: dict[str, Any],
    study_transferability: StudyTransferability,
    this_session: SessionFacts,
) -> str:
    """The summary: conclusion, agreement, outcomes, the pair, the second source, costs, limits."""
    from medical_transfer.studies.transferability_summary import summary  # noqa: PLC0415 - scipy

    return summary(results, failures, agreement, study_transferability, this_session.parameters)


def create_pipeline() -> Pipeline:
    """Targets and sources -> table, agreement, figures and summary of the study."""
    figures = {"outcomes": draw_outcomes, "scores": draw_scores, "mmd": draw_mmd}
    return study_pipeline(NAME, run=run, figures=figures, conclude=conclude, told=("agreement",))


def backbones_of(study: StudyTransferability, session: SessionFacts) -> Backbones:
    """The run's block `backbones`, with the folder of weights that the study names."""
    found = Backbones.model_validate(session.parameters.get("backbones", {}))
    return found if study.weights_root is None else found.model_copy(update={"weights_root": study.weights_root})


def sources_of(study: StudyTransferability, backbones: Backbones) -> list[Any]:
    """The sources that are compared: those named, then all files of the folder of weights.

    Raises:
        UserError: one is unknown, or the folder has no index.
    """
    from medical_transfer.models.backbones import check_names, find_source  # noqa: PLC0415 - quick command line
    from medical_transfer.models.weights_folder import read_index  # noqa: PLC0415

    held = list(read_index(backbones.weights_root)) if backbones.weights_root else []
    names = list(dict.fromkeys([*study.sources, *held]))
    check_names(names, backbones)
    return [find_source(name, backbones) for name in names]
