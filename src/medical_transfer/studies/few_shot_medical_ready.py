"""What the trials of the medical study of few-shot learning stand on: features of all sets in use, and folds."""

from __future__ import annotations

from dataclasses import dataclass

from medical_transfer.config.backbones import Backbones
from medical_transfer.config.study_few_shot_medical import StudyFewShotMedical
from medical_transfer.data.episodes import TaskSet
from medical_transfer.hooks.this_session import SessionFacts
from medical_transfer.models.backbones import check_names, find_source
from medical_transfer.studies.few_shot_medical_names import NAME
from medical_transfer.studies.few_shot_medical_sets import (
    Fold,
    folds_of,
    large_enough,
    numbers_of,
    sets_of,
    whole_set,
)
from medical_transfer.studies.place import Place
from medical_transfer.studies.prepared_targets import prepare_targets
from medical_transfer.studies.trials import Done, Failure
from medical_transfer.types import UserError

DIVIDING = 0
"""Seed under which sets are drawn and grouped, the same for all seeds of meta-training."""


@dataclass(frozen=True)
class Ready:
    """All images, the folds, how large each set in use is, and what is not used with its sentence."""

    whole: TaskSet
    folds: list[Fold]
    sizes: list[Done]
    failures: list[Failure]


def check_sources(study: StudyFewShotMedical, session: SessionFacts) -> Backbones:
    """The run's block `backbones`, once both sources of the study are known to be there.

    Raises:
        UserError: one is unknown.
    """
    found = Backbones.model_validate(session.parameters.get("backbones", {}))
    check_names((study.source, study.teacher_source), found)
    return found


def ready_for(study: StudyFewShotMedical, place: Place, backbones: Backbones) -> Ready:
    """Read the sets, compute features that are not there yet, and make the folds.

    Raises:
        UserError: no set can be used, no modality can be tested on, or nothing validates.
    """
    there, missing = sets_of(study, place.session)
    prepared, unread = prepare_targets(place, there, study, [DIVIDING])
    if not prepared:
        raise UserError(f"No set of study {NAME} can be used; the first said: {unread[0].sentence}")
    sources = {name: find_source(name, backbones) for name in (study.source, study.teacher_source)}
    whole = whole_set(prepared, study, sources, place, backbones)
    fit, small = large_enough(whole, study)
    folds, lacking = folds_of(whole, study, fit)
    failures = [*missing, *unread, *small, *lacking]
    if not folds:
        raise UserError(f"No modality can be tested on: {' '.join(each.sentence for each in failures)}")
    return Ready(whole, folds, numbers_of(whole, fit), failures)
