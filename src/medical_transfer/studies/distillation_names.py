"""What the study of distillation calls its trials, and how its table is read."""

from __future__ import annotations

import pandas as pd

from medical_transfer.config.study_distillation import StudyDistillation
from medical_transfer.studies.table import values_of

NAME = "distillation"
TEACHER, ALONE, DISTILLED = "teacher", "alone", "distilled"
"""Methods in the table: the teacher, the student without its answers, and with them."""
CHOSEN_BY = "val_auroc"
RECALL = "minority_recall"
REPORTED = ("auroc", RECALL, "ece")
"""Metrics of the test images that are drawn and told."""

Setting = tuple[float, float]
"""Temperature and weight of the teacher's part."""


def setting_of(temperature: float, soft_weight: float) -> str:
    """A setting as it stands in the table."""
    return f"T={temperature:g}, w={soft_weight:g}"


def settings_of(study: StudyDistillation) -> dict[str, Setting]:
    """Name in the table -> setting, temperatures in turn."""
    pairs = [(t, w) for t in study.temperatures for w in study.soft_weights]
    return {setting_of(*pair): pair for pair in pairs}


def by_seed(results: pd.DataFrame, metric: str) -> pd.DataFrame:
    """Values of one metric: a row for each seed, a column for each setting of the student, `alone` and `teacher`."""
    values = values_of(results, metric)
    columns = values["setting"].where(values["method"] == DISTILLED, values["method"])
    return values.assign(column=columns).pivot_table(index="seed", columns="column", values="value", sort=False)


def chosen(results: pd.DataFrame, study: StudyDistillation) -> str | None:
    """The setting of the highest mean validation AUROC among those that ended well under all seeds.

    Of several, the first one.
    """
    found = by_seed(results, CHOSEN_BY)
    whole = [name for name in settings_of(study) if name in found.columns and found[name].count() == len(study.seeds)]
    means = found[whole].mean()
    return str(means.idxmax()) if whole else None


def neighbours(name: str, study: StudyDistillation) -> list[str]:
    """The settings beside one in the grid: another temperature or another weight, by one place."""
    temperature, weight = settings_of(study)[name]
    temperatures, weights = sorted(study.temperatures), sorted(study.soft_weights)
    row, column = temperatures.index(temperature), weights.index(weight)
    beside = [(row - 1, column), (row + 1, column), (row, column - 1), (row, column + 1)]
    inside = [(r, c) for r, c in beside if 0 <= r < len(temperatures) and 0 <= c < len(weights)]
    return [setting_of(temperatures[r], weights[c]) for r, c in inside]
