"""What the study of few-shot learning calls its trials and numbers, and how its table is read."""

from __future__ import annotations

import pandas as pd

NAME = "few_shot"
NAMES = {
    "maml": "MAML, second order",
    "fo_maml": "MAML, first order",
    "anil": "ANIL",
    "reptile": "Reptile",
    "prototypical": "ProtoNet",
    "plain_distillation": "plain distillation",
    "meta_distillation": "meta-distillation",
}
SETTING = "Omniglot"
TRAINING, MEMORY = "training_processor_seconds", "peak_memory_mb"


def accuracy(shots: int) -> str:
    """Metric of test episodes with so many images of each class to learn from."""
    return f"accuracy_{shots}_shot"


def adaptation(shots: int) -> str:
    """Metric: processor time of one task, in milliseconds."""
    return f"task_ms_{shots}_shot"


def skipped(shots: int) -> str:
    """Metric: episodes in which adaptation ended in no number."""
    return f"skipped_{shots}_shot"


def after(steps: int) -> str:
    """Metric: accuracy after so many inner steps."""
    return f"accuracy_after_{steps}_steps"


def rows_of(results: pd.DataFrame, metric: str) -> pd.DataFrame:
    """One row for each method, in the table's order: mean over its seeds of `value, low, high`, and `seeds`.

    The ends are the mean of those over episodes: they hold for networks as trained, not for other seeds.
    """
    mine = results[(results["metric"] == metric) & results["value"].notna()]
    grouped = mine.groupby("method", sort=False)
    return grouped[["value", "low", "high"]].mean().assign(seeds=grouped["seed"].nunique())


def by_method(results: pd.DataFrame, metric: str) -> dict[str, dict[str, float]]:
    """Method -> the same row."""
    found = rows_of(results, metric).to_dict("index")
    return {str(method): {str(name): float(value) for name, value in row.items()} for method, row in found.items()}
