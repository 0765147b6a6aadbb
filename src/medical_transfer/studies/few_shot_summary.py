"""The words of the study of few-shot learning, computed from its table."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import pandas as pd

from medical_transfer.config.study_few_shot import StudyFewShot
from medical_transfer.studies.few_shot_budgets import budget_table
from medical_transfer.studies.few_shot_names import NAME, NAMES, accuracy, after, by_method
from medical_transfer.studies.few_shot_table import cell, method_table
from medical_transfer.studies.words import command, failed

GOALS = {1: 0.97, 5: 0.99}
"""Goals of this study for the best method, of 5-way episodes, by shots."""
PUBLISHED = {1: {"maml": 0.987, "prototypical": 0.988, "reptile": 0.9768}, 5: {"maml": 0.999, "prototypical": 0.997}}
"""Finn et al. 2017, Snell et al. 2017 and Nichol et al. 2018 (transductive): tens of thousands of steps, 5-way."""
PUBLISHED_WAYS = 5

LIMITS = """\
- Budgets are a few hundred steps, where the papers take tens of thousands. The methods are ordered at these budgets,
  and may be ordered otherwise at longer ones; steps and rates of the methods differ, as the table of budgets says.
- Characters of test episodes are held out within the background set, from the same alphabets and hands as those of
  meta-training: not the protocol of the papers, whose figures stand beside ours for orientation only.
- Norms know the support set alone: nothing here is transductive.
- Intervals are over test episodes of one network, and do not tell how another seed would do. Where a method has several
  seeds, accuracies and ends are means over them.
- Differences between methods are not tested. All are asked about the same episodes, so intervals that overlap a little
  may hide a difference.
- The teacher is a prototypical network of the same width and budget under another seed, its features frozen and its
  head fitted to each support set: not a larger network. It was trained on the characters of meta-training.
- Times are processor time of one process, drawing of episodes with it. A trial that was killed and gone on with counts
  the time of its last process alone. Memory is the whole process's, with images and libraries.
- Quality on drawings says nothing of medical images."""


def summary(
    results: pd.DataFrame, failures: Sequence[Mapping[str, Any]], study: StudyFewShot, parameters: Mapping[str, Any]
) -> str:
    """The page in Markdown: goals, numbers, adaptation, budgets, failures, limits."""
    parts = [
        "# Learning from a few images: Omniglot",
        *("\n".join(goal(results, study, shots) for shots in sorted(study.shots)), "## All methods"),
        *(method_table(results, study, NAMES), "## What adaptation gives", adaptation_lines(results, study)),
        *("## Set-up", _set_up(study), budget_table(study, study.methods), command(NAME, parameters)),
        *failed(failures),
        *("## What this cannot say", LIMITS),
    ]
    return "\n\n".join(parts) + "\n"


def goal(results: pd.DataFrame, study: StudyFewShot, shots: int) -> str:
    """The highest test accuracy at so many shots, beside its goal and what papers report."""
    rows = by_method(results, accuracy(shots))
    if not rows:
        return f"- {shots} shot: nothing was measured."
    best = max(rows, key=lambda method: rows[method]["value"])
    told = f"- {shots} shot: the highest mean is {cell(rows[best])}, of {NAMES[best]}"
    if study.meta_learning.ways != PUBLISHED_WAYS:
        return f"{told}."
    if shots in GOALS:
        gap = rows[best]["value"] - GOALS[shots]
        told += f"; the goal of {GOALS[shots]:.2f} is " + ("reached" if gap >= 0 else f"**missed by {-gap:.3f}**")
    known = [
        f"{NAMES[method]} {value:.3f} (here {rows[method]['value']:.3f})"
        for method, value in PUBLISHED.get(shots, {}).items()
        if method in rows
    ]
    return told + (f". In the papers: {', '.join(known)}." if known else ".")


def adaptation_lines(results: pd.DataFrame, study: StudyFewShot) -> str:
    """Accuracy of each method before adaptation, after one step and after the last."""
    last = study.curve_steps
    steps = sorted({0, 1, last})
    found = {each: by_method(results, after(each)) for each in steps}
    names = " | ".join(f"{each} steps" for each in steps)
    lines = [
        f"Accuracy of {study.curve_episodes} test episodes with {study.curve_shots} image(s) of each class.",
        *("", f"| method | {names} | |", "|---" * (len(steps) + 2) + "|"),
    ]
    for method, first in found[0].items():
        end = found[last][method]
        cells = " | ".join(cell(found[each][method]) for each in steps)
        lines.append(f"| {NAMES[method]} | {cells} | {_verdict(method, first, end)} |")
    return "\n".join(lines)


def _verdict(method: str, first: Mapping[str, float], end: Mapping[str, float]) -> str:
    if method == "prototypical":
        return "does not adapt"
    if end["low"] > first["high"]:
        return "adaptation helps"
    return "adaptation **harms**" if end["high"] < first["low"] else "no difference shown"


def _set_up(study: StudyFewShot) -> str:
    meta, (train, val, test) = study.meta_learning, study.classes
    return (
        f"{meta.ways}-way episodes of {study.queries} queries a class; one meta-training for all shots, on "
        f"{meta.shots} images of each class. Characters: {train} for meta-training, "
        f"{val} for meta-validation, which picks the best of {meta.rounds} rounds, {test} for meta-test, each also "
        f"under three quarter turns. {study.size} px, four convolutions of {meta.width} channels."
    )
