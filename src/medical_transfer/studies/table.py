"""The table of a study: one row per trial and metric; what is said and drawn is computed from it alone."""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import Any

import pandas as pd

from medical_transfer.studies.trials import Done, Failure, Trial

COLUMNS = ("trial_id", "method", "setting", "seed", "metric", "value", "low", "high", "n", "seconds")
FAILED = "failed"
"""Metric of a trial that did not end; its value is null."""


def results_table(done: Iterable[Done], failures: Iterable[Failure]) -> pd.DataFrame:
    """All trials in the order given, those that failed last.

    Returns:
        The columns `COLUMNS`; `low` and `high` are the ends of the 95 % interval over the test images of that trial.
    """
    rows = [
        {
            **_named(each.trial_id, each.trial),
            "metric": number.metric,
            "value": _number(number.value),
            "low": _number(number.low),
            "high": _number(number.high),
            "n": number.n,
            "seconds": each.seconds,
        }
        for each in done
        for number in each.measured
    ]
    nothing = {"metric": FAILED, "value": math.nan, "low": math.nan, "high": math.nan, "n": 0}
    rows += [{**_named(each.trial_id, each.trial), **nothing, "seconds": each.seconds} for each in failures]
    return pd.DataFrame(rows, columns=list(COLUMNS))


def told_of(failures: Iterable[Failure]) -> list[dict[str, Any]]:
    """What is kept of trials that failed, beside the table: `trial_id, trial, sentence`."""
    return [{"trial_id": each.trial_id, "trial": str(each.trial), "sentence": each.sentence} for each in failures]


def values_of(results: pd.DataFrame, metric: str) -> pd.DataFrame:
    """The finite values of one metric: `method, setting, seed, value, seconds`."""
    mine = results[(results["metric"] == metric) & results["value"].notna()]
    return mine[["method", "setting", "seed", "value", "seconds"]].reset_index(drop=True)


def _named(trial_id: str, trial: Trial) -> dict[str, Any]:
    return {"trial_id": trial_id, "method": trial.method, "setting": trial.setting, "seed": trial.seed}


def _number(value: float | None) -> float:
    return math.nan if value is None else float(value)
