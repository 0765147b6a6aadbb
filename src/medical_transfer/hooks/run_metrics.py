"""What the record of a run holds as numbers: metrics as (name, value, step), from what the run made.

Per epoch from the history; final ones with the ends of their intervals.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from kedro.io import DataCatalog


def measured(catalog: DataCatalog, made: set[str]) -> list[tuple[str, float, int]]:
    """Metrics of a run as (name, value, step): per epoch from the history, final ones with their intervals."""
    found: list[tuple[str, float, int]] = []
    if "finetuned_history" in made:
        for step, row in enumerate(catalog.load("finetuned_history").to_dict("records")):
            numbers = {k: v for k, v in row.items() if isinstance(v, int | float) and math.isfinite(v)}
            found += [(f"epoch/{name}", float(value), step) for name, value in numbers.items()]
    if "finetuned_evaluation" in made:
        found += _with_ends(catalog.load("finetuned_evaluation"))
    if "adapted_evaluation" in made:
        found += _adapted(catalog.load("adapted_evaluation"))
    if "distilled_evaluation" in made:
        found += _distilled(catalog.load("distilled_evaluation"), catalog.load("distilled_costs")["models"])
    if "adaptation_choice" in made:
        found += _without_labels(catalog.load("adaptation_choice"))
    return found


def _with_ends(evaluation: dict[str, Any], prefix: str = "") -> list[tuple[str, float, int]]:
    """Every metric that is defined, with the ends of its interval."""
    found: list[tuple[str, float, int]] = []
    for split in ("val", "test"):
        for name, row in evaluation[split].items():
            ends = {name: row["estimate"], f"{name}_low": row["low"], f"{name}_high": row["high"]}
            found += [(f"{prefix}{split}/{k}", float(v), 0) for k, v in ends.items() if v is not None]
    return found


def _adapted(evaluation: dict[str, Any]) -> list[tuple[str, float, int]]:
    """The chosen model on the second site as `target/...`, each as `target/<method>/...`, and the choice's cost."""
    found = _with_ends(evaluation, "target/")
    for method, measured_ in evaluation["methods"].items():
        found += _with_ends(measured_, f"target/{method}/")
    gap = evaluation["gap"]
    return found if gap is None else [*found, ("target/gap", float(gap), 0)]


def _distilled(evaluation: dict[str, Any], costs: dict[str, Any]) -> list[tuple[str, float, int]]:
    """Each model as `student/<name>/...`, differences to the teacher, shares of its lead, and what each costs."""
    found = [each for name, one in evaluation["models"].items() for each in _with_ends(one, f"student/{name}/")]
    pairs = {f"{name}/minus_teacher": each for name, each in evaluation["to_teacher"].items()}
    pairs["distilled/minus_alone"] = evaluation["to_alone"]
    for name, pair in pairs.items():
        rows = {"test": pair["metrics"], "val": {}}
        found += _with_ends(rows, f"student/{name}/")
    shares = {f"gap_closed/{metric}": share for metric, share in evaluation["gap_closed"].items()}
    for name, cost in costs.items():
        shares |= {f"{name}/{what}": cost[what] for what in ("parameters", "macs", "bytes")}
        shares |= {f"{name}/images_per_s_{row['batch']}": row["images_per_s"] for row in cost["latency"]}
    return found + [(f"student/{name}", float(value), 0) for name, value in shares.items() if value is not None]


def _without_labels(choice: dict[str, Any]) -> list[tuple[str, float, int]]:
    """What is said of each method without labels: its scores, and how many alarms it raised."""
    found = [
        (f"unlabelled/{method}/{name}", float(value), 0)
        for method, scores in choice["scores"].items()
        for name, value in scores.items()
        if value is not None
    ]
    return found + [(f"unlabelled/{method}/alarms", float(len(told)), 0) for method, told in choice["alarms"].items()]
