"""The words of the study of distillation, computed from its table."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd

from medical_transfer.config.study_distillation import StudyDistillation
from medical_transfer.reporting.units import metric_name
from medical_transfer.studies.conclusion import LEAST_SEEDS, paired_difference, t_interval
from medical_transfer.studies.distillation_names import (
    ALONE,
    CHOSEN_BY,
    NAME,
    REPORTED,
    TEACHER,
    by_seed,
    chosen,
    neighbours,
    settings_of,
)
from medical_transfer.studies.main_job import COUNTED
from medical_transfer.studies.table import values_of
from medical_transfer.studies.time_left import in_words
from medical_transfer.studies.words import command, ends, failed, on_what
from medical_transfer.types import Interval

NO_SPREAD = 1e-9
"""Differences that are equal but for rounding show nothing."""

LIMITS = """\
- The setting was chosen on validation images, of which every seed has its own; what is told of it is of test
  images that had no part in the choice.
- Intervals are over seeds. Seeds draw their splits from the same images, so they speak of this data set and this pair
  of networks, not of another one.
- One learning rate and one number of steps for all settings: a setting that wants other ones is not at its best here.
- A study of few seeds shows large differences only: "no difference shown" does not mean that there is none."""


def summary(
    results: pd.DataFrame,
    failures: Sequence[Mapping[str, Any]],
    study: StudyDistillation,
    parameters: Mapping[str, Any],
) -> str:
    """The page in Markdown: conclusion, neighbours, gap, numbers, failures, limits."""
    best = chosen(results, study)
    parts = ["# Temperature and weight in distillation", conclusion(results, study, best)]
    if best is not None:
        parts += ["## Whether the setting matters", beside_neighbours(results, study, best)]
        parts += ["## The gap between teacher and student", gap_closed(results, best)]
    parts += [
        "## All settings",
        _table(results, study, best),
        "## Set-up",
        _set_up(results, study, parameters),
        command(NAME, parameters),
        *failed(failures),
        "## What this cannot say",
        LIMITS,
    ]
    return "\n\n".join(parts) + "\n"


def conclusion(results: pd.DataFrame, study: StudyDistillation, best: str | None) -> str:
    """The setting of the highest validation mean, and what it reaches on test beside the student alone."""
    if best is None:
        return "No setting ended well under all seeds, so nothing can be said."
    validation = by_seed(results, CHOSEN_BY)[best].mean()
    found = (
        f"Of {len(settings_of(study))} settings, `{best}` has the highest mean validation AUROC ({validation:.3f}). On "
        "the test images, against the same student without a teacher:"
    )
    return "\n".join([found, "", *(_against(results, metric, best, ALONE) for metric in REPORTED)])


def _against(results: pd.DataFrame, metric: str, name: str, other: str) -> str:
    values = by_seed(results, metric)
    if not {name, other} <= set(values.columns):
        return f"- {metric_name(metric)}: not compared, since trials failed."
    mine, theirs = (_mean(values[each]) for each in (name, other))
    difference, seeds = paired_difference(values[name], values[other])
    return f"- {metric_name(metric)}: {mine} against {theirs}: {verdict(difference, seeds, _lower_is_better(metric))}"


def verdict(difference: Interval, seeds: int, lower_is_better: bool = False) -> str:  # noqa: FBT001, FBT002 - one fact
    """What a paired difference shows."""
    if seeds < LEAST_SEEDS:
        return f"{difference.estimate:+.3f}, too few seeds ({seeds}) to say more ({LEAST_SEEDS} are needed)."
    told = f"{difference.estimate:+.3f} ({difference.low:+.3f} to {difference.high:+.3f}, paired over {seeds} seeds)"
    if difference.high - difference.low < NO_SPREAD or difference.low <= 0 <= difference.high:
        return f"{told}: no difference shown."
    better = (difference.estimate < 0) == lower_is_better
    return f"{told}: shown to be {'better' if better else '**worse**'}."


def beside_neighbours(results: pd.DataFrame, study: StudyDistillation, best: str) -> str:
    """How far the chosen setting is above those beside it in the grid, on test, all intervals held together."""
    values = by_seed(results, "auroc")
    beside = [name for name in neighbours(best, study) if name in values.columns]
    lines = [
        f"Test AUROC of `{best}` minus that of its neighbours in the grid (all intervals together hold with 95 %):",
        "",
    ]
    for name in beside:
        difference, seeds = paired_difference(values[best], values[name], len(beside))
        lines.append(f"- `{name}`: {verdict(difference, seeds)}")
    return "\n".join(lines if beside else ["It has no neighbours that ended well."])


def gap_closed(results: pd.DataFrame, best: str) -> str:
    """Share of the teacher's lead in test AUROC over the student alone that the distilled student makes up."""
    values = by_seed(results, "auroc")
    if not {best, ALONE, TEACHER} <= set(values.columns):
        return "Not compared, since trials failed."
    whole = values[[best, ALONE, TEACHER]].dropna()
    lead, seeds = paired_difference(whole[TEACHER], whole[ALONE])
    told = f"The teacher reaches a test AUROC of {_mean(whole[TEACHER])}; its lead over the student alone is "
    if seeds < LEAST_SEEDS:
        told += f"{lead.estimate:+.3f} over {seeds} seeds."
    else:
        told += f"{lead.estimate:+.3f} ({lead.low:+.3f} to {lead.high:+.3f})."
    if not lead.estimate > 0:
        return f"{told} There is no gap to close."
    share = (whole[best] - whole[ALONE]).mean() / lead.estimate
    caution = "" if lead.low > 0 else " The lead is not shown to be above 0, so the share says little."
    return f"{told} `{best}` closes {share:.0%} of it (ratio of means).{caution}"


def _table(results: pd.DataFrame, study: StudyDistillation, best: str | None) -> str:
    """A row for each setting: validation AUROC, and the metrics of the test images with intervals over seeds."""
    found = {metric: by_seed(results, metric) for metric in (CHOSEN_BY, *REPORTED)}
    names = ["Validation AUROC", *(f"Test {metric_name(metric)}" for metric in REPORTED)]
    lines = [
        "Mean over seeds (95 % interval); bold: chosen on validation.",
        "",
        "| setting | " + " | ".join(names) + " |",
        "|---" * (len(names) + 1) + "|",
    ]
    for name in (TEACHER, ALONE, *settings_of(study)):
        cells = [_mean(of[name]) if name in of.columns else "-" for of in found.values()]
        shown = f"**{name}**" if name == best else name
        lines.append(f"| {shown} | " + " | ".join(cells) + " |")
    return "\n".join(lines)


def _set_up(results: pd.DataFrame, study: StudyDistillation, parameters: Mapping[str, Any]) -> str:
    told = on_what(results["trial_id"].nunique(), parameters, source=study.teacher, image_size=study.image_size)
    seconds = values_of(results, "auroc").groupby("method")["seconds"].mean()
    cost = "; ".join(f"{name} {in_words(float(value))}" for name, value in seconds.items())
    counts = values_of(results, COUNTED).groupby("method")["value"].max()
    learned = "; ".join(f"{name} {int(value):,}" for name, value in counts.items())
    return (
        f"{told} Student: {study.student}, {study.steps} steps of {study.batch_size} images at a rate of "
        f"{study.learning_rate:g}, looked at {study.rounds} times on validation. Seeds {study.seeds}. Seconds of "
        f"training: {cost}. Parameters that learned: {learned}. `{ALONE}` is the student with weight 0: same views, "
        "first weights and order. Minority: the class of the fewest images, of equals the positive one. Interval over "
        "seeds: Student's t; differences: paired by seed."
    )


def _lower_is_better(metric: str) -> bool:
    return metric == "ece"


def _mean(values: pd.Series) -> str:
    found = t_interval(values.dropna().to_numpy(float))
    if math.isnan(found.estimate):
        return "no value"
    low, high = np.clip((found.low, found.high), 0, 1)
    return f"{found.estimate:.3f} ({ends(low, high)})"
