"""The table of methods in the words of the studies of few-shot learning."""

from __future__ import annotations

import math
from collections.abc import Mapping

import pandas as pd

from medical_transfer.studies.few_shot_budgets import Asked
from medical_transfer.studies.few_shot_names import MEMORY, TRAINING, accuracy, adaptation, by_method, skipped


def method_table(results: pd.DataFrame, study: Asked, names: Mapping[str, str], note: str = "") -> str:
    """Accuracy at every number of shots, costs and skipped tasks of each method, as Markdown.

    Args:
        results: rows of the study's table.
        study: shots and test episodes.
        names: methods as people call them.
        note: what the sentence above the table ends with.
    """
    shots = sorted(study.shots)
    metrics = [*map(accuracy, shots), TRAINING, MEMORY, *map(adaptation, shots)]
    found = {metric: by_method(results, metric) for metric in metrics}
    lost = [by_method(results, skipped(each)) for each in shots]
    heads = [*(f"{each} shot" for each in shots), "training, s", "peak memory, MiB"]
    heads += [f"task, ms, {each} shot" for each in shots]
    lines = [
        f"Mean accuracy of {study.episodes} test episodes (95 % interval over episodes){note}.",
        *("", f"| method | seeds | {' | '.join(heads)} | tasks skipped |", "|---" * (len(heads) + 3) + "|"),
    ]
    for method, row in found[metrics[0]].items():
        cells = [cell(of[method]) if method in of else "-" for of in found.values()]
        missed = sum(of[method]["value"] for of in lost if method in of)
        lines.append(f"| {names[method]} | {row['seeds']:g} | {' | '.join(cells)} | {missed:g} |")
    return "\n".join(lines)


def cell(row: Mapping[str, float]) -> str:
    """A number with its interval, or to one digit where it has none."""
    if math.isnan(row["low"]):
        return f"{row['value']:.1f}"
    return f"{row['value']:.3f} ({row['low']:.3f} to {row['high']:.3f})"
