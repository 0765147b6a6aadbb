"""Which sets the medical study of few-shot learning had, and what each fold learned from, in words."""

from __future__ import annotations

from collections.abc import Mapping

import pandas as pd

from medical_transfer.config.study_few_shot_medical import StudyFewShotMedical
from medical_transfer.studies.few_shot_medical_names import SET


def set_table(results: pd.DataFrame, study: StudyFewShotMedical) -> str:
    """Modality, images, classes and groups of each set that was used."""
    lines = ["| set | modality | images | classes | groups |", "|---" * 5 + "|"]
    for name, numbers in sets_in(results).items():
        said = study.modalities[name]
        modality = said if isinstance(said, str) else "by class"
        lines.append(f"| {name} | {modality} | {' | '.join(f'{each:.0f}' for each in numbers.values())} |")
    return "\n".join(lines)


def fold_lines(results: pd.DataFrame, study: StudyFewShotMedical) -> str:
    """What each fold is tested on, validated on and learns from."""
    lines = [
        "No set is in two parts of a fold. Classes of a mixed set whose modality is tested on or validates are left "
        f"out of meta-training. {study.validation} validates in every fold: no fold is tested on it, so that what "
        "picks the round is a modality that was not learned from, as the tested one is.",
        "",
    ]
    sets = sets_in(results)
    for modality in study.held_out:
        test, val = (_of(study, sets, each) for each in (modality, study.validation))
        if not test:
            continue
        told = [_learned(study, name, (modality, study.validation)) for name in sets if name not in (*test, *val)]
        train = [each for each in told if each]
        tested, validated, learned = (", ".join(each) for each in (test, val, train))
        lines.append(f"- {modality}: tested on {tested}; validated on {validated}; learned from {learned}")
    return "\n".join(lines)


def sets_in(results: pd.DataFrame) -> dict[str, dict[str, float]]:
    """Set -> `images, classes, groups`."""
    rows = results[results["method"] == SET]
    return {
        str(name): dict(zip(mine["metric"], mine["value"], strict=True))
        for name, mine in rows.groupby("setting", sort=False)
    }


def _of(study: StudyFewShotMedical, sets: Mapping[str, object], modality: str) -> list[str]:
    return [name for name in sets if study.modalities[name] == modality]


def _learned(study: StudyFewShotMedical, name: str, without: tuple[str, str]) -> str:
    """A set with the classes that it keeps; empty where they are too few for an episode."""
    said = study.modalities[name]
    if isinstance(said, str):
        return name
    kept = [label for label, modality in said.items() if modality not in without]
    return f"{name} ({', '.join(kept)})" if len(kept) >= study.meta_learning.ways else ""
