"""The sets of the medical study of few-shot learning as features of one source, and the folds of their modalities.

A class is one of its set (`busi_256: benign`), an episode takes its classes from one set, and a patient is a group.
Shapes: N images of all sets, D features.
"""

from __future__ import annotations

import logging
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from medical_transfer.config.backbones import Backbones
from medical_transfer.config.study_few_shot_medical import StudyFewShotMedical
from medical_transfer.data.episodes import Shape, TaskSet, task_set
from medical_transfer.hooks.this_session import SessionFacts
from medical_transfer.methods.meta_distill import TOLD
from medical_transfer.models.source import Source
from medical_transfer.runtime.provenance import SETS_BESIDE
from medical_transfer.studies.few_shot_budgets import TAUGHT
from medical_transfer.studies.few_shot_characters import Parts
from medical_transfer.studies.few_shot_medical_names import SET
from medical_transfer.studies.frozen import all_images, features_of
from medical_transfer.studies.place import Place
from medical_transfer.studies.prepared_targets import UNREAD, Prepared
from medical_transfer.studies.targets import Target, targets_of
from medical_transfer.studies.trials import Done, Failure, Measured, Trial
from medical_transfer.types import UserError

logger = logging.getLogger(__name__)

MARK = ": "
"""Between the names of a set and of its class."""


@dataclass(frozen=True)
class Fold:
    """A modality that is tested on: meta-training, meta-validation and meta-test, without a set in two of them."""

    modality: str
    parts: Parts


def sets_of(study: StudyFewShotMedical, session: SessionFacts) -> tuple[list[Target], list[Failure]]:
    """The sets whose modality is said and that are there, and those that are not.

    Raises:
        UserError: there is none, or `only` names one that there is not.
    """
    root = study.targets_root or (SETS_BESIDE if SETS_BESIDE.is_dir() else None)
    there = targets_of(study.model_copy(update={"targets_root": root}), session)
    known = [each for each in there if each.name in study.modalities]
    asked = [name for name in study.modalities if study.targets.get(name, True) is not None]
    wanted = asked if study.only is None else study.only
    missing = [name for name in wanted if name not in {each.name for each in known}]
    said = f"is not among study_few_shot_medical.targets, and {root or SETS_BESIDE} does not hold it"
    return known, [_unused(name, f"{name} {said}: put {name}.tar there, or name it as a target.") for name in missing]


def whole_set(
    ready: Sequence[Prepared], study: StudyFewShotMedical, sources: Mapping[str, Source], place: Place, own: Backbones
) -> TaskSet:
    """All images of all sets under the source, and where a method is taught also under the teacher's."""
    of_source = [_seen(prepared, sources[study.source], place, own) for prepared in ready]
    labels, groups = list[str](), list[str]()
    for prepared in ready:
        manifest, name = next(iter(prepared.manifests.values())), prepared.target.name
        mine = manifest.set_index("image_id").loc[list(all_images(prepared).image_ids)]
        labels += [f"{name}{MARK}{label}" for label in mine["label"]]
        groups += [f"{name}{MARK}{group}" for group in mine["group_id"]]
    domains = {label: label.split(MARK)[0] for label in labels}
    found = task_set(np.concatenate(of_source), labels, groups, domains)
    if not set(TAUGHT) & set(study.methods):
        return found
    told_ND = np.concatenate([_seen(prepared, sources[study.teacher_source], place, own) for prepared in ready])
    return found.told({TOLD: (told_ND,)})


def _seen(prepared: Prepared, source: Source, place: Place, own: Backbones) -> Any:
    return features_of(source, all_images(prepared), prepared, place, own).features_ND


def numbers_of(whole: TaskSet, fit: Sequence[str]) -> list[Done]:
    """How many images, classes and patients (or groups of look-alikes) each set in use has, as trials of the table."""
    found = list[Done]()
    for name in fit:
        classes = whole.domains()[name]
        mine_N = np.isin(whole.rows.labels_N, classes)
        counts = {"images": int(mine_N.sum()), "classes": len(classes), "groups": len(set(whole.groups_N[mine_N]))}
        told = tuple(Measured(metric, count, None, None, counts["images"]) for metric, count in counts.items())
        found.append(Done("", Trial(SET, name, 0), math.nan, told))
    return found


def large_enough(whole: TaskSet, study: StudyFewShotMedical) -> tuple[list[str], list[Failure]]:
    """The sets of which every episode of the study can be drawn, and the others with what they lack."""
    meta = study.meta_learning
    shape = Shape(meta.ways, max(*study.shots, *meta.shots), max(study.queries, meta.queries))
    fit, failures = list[str](), list[Failure]()
    for name, classes in whole.domains().items():
        try:
            whole.only([whole.names_C[number] for number in classes]).check(shape, "this study")
            fit.append(name)
        except UserError as error:
            failures.append(_unused(name, str(error)))
    return fit, failures


def folds_of(whole: TaskSet, study: StudyFewShotMedical, fit: Iterable[str]) -> tuple[list[Fold], list[Failure]]:
    """A fold for each modality that is held out, and those that lack a set to test on or to learn from.

    Raises:
        UserError: there is no set to validate on.
    """
    pure = {name: study.modalities[name] for name in fit}
    val = _classes(whole, [name for name, modality in pure.items() if modality == study.validation])
    if not val:
        raise UserError(
            f"No set of modality {study.validation} can be used, so nothing validates meta-training: mend it, or name "
            "another modality in study_few_shot_medical.validation."
        )
    folds, failures = list[Fold](), list[Failure]()
    for held_out in study.held_out:
        test = _classes(whole, [name for name, modality in pure.items() if modality == held_out])
        train = _to_learn_from(whole, study, fit=list(pure), without=(held_out, study.validation))
        if test and train:
            folds.append(Fold(held_out, (whole.only(train), whole.only(val), whole.only(test))))
        else:
            lacks = "learn from" if test else "test on"
            failures.append(Failure("", Trial("no fold", held_out, 0), math.nan, f"No set is left to {lacks}."))
    return folds, failures


def _to_learn_from(
    whole: TaskSet, study: StudyFewShotMedical, *, fit: Sequence[str], without: tuple[str, str]
) -> list[str]:
    """Classes of other modalities; a set that keeps fewer of them than an episode has is left out."""
    found = list[str]()
    for name in fit:
        said = study.modalities[name]
        kept = [
            label
            for label in _classes(whole, [name])
            if (said if isinstance(said, str) else said.get(label.split(MARK)[1])) not in (None, *without)
        ]
        found += kept if len(kept) >= study.meta_learning.ways else []
    return found


def _classes(whole: TaskSet, sets: Sequence[str]) -> list[str]:
    return [label for label, name in zip(whole.names_C, whole.domains_C, strict=True) if name in sets]


def _unused(name: str, sentence: str) -> Failure:
    logger.warning("Study few_shot_medical: %s is not used: %s", name, sentence)
    return Failure("", Trial(UNREAD, name, 0), math.nan, sentence)
