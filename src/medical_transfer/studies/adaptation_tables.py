"""Numbers of the study of adaptation, from its table alone."""

from __future__ import annotations

import pandas as pd

from medical_transfer.studies.adaptation_names import (
    DISTANCE,
    HEADLINE,
    SOURCE_ACCURACY,
    TARGET_ACCURACY,
    alpha_of,
)

NUMBERS = (TARGET_ACCURACY, SOURCE_ACCURACY, DISTANCE)


def by_trial(results: pd.DataFrame) -> pd.DataFrame:
    """One row per finished trial, a column per metric, beside `method, setting, seed, seconds`."""
    index = ["trial_id", "method", "setting", "seed", "seconds"]
    wide = results.pivot_table(index=index, columns="metric", values="value", sort=False)
    return wide.reset_index().rename_axis(columns=None)


def method_means(results: pd.DataFrame) -> pd.DataFrame:
    """Of each method over its seeds: mean and standard deviation of each of `NUMBERS`, and how many seeds."""
    wide = by_trial(results)
    mine = wide[wide["setting"] == HEADLINE].reindex(columns=["method", "seed", "seconds", *NUMBERS])
    grouped = mine.groupby("method", sort=False)
    means, spreads = grouped[[*NUMBERS, "seconds"]].mean(), grouped[list(NUMBERS)].std(ddof=1).add_suffix("_spread")
    return means.join(spreads).join(grouped.size().rename("seeds")).reset_index()


def sweep_rows(results: pd.DataFrame) -> pd.DataFrame:
    """Of each strength of the sweep, ascending: means over its seeds of `NUMBERS`."""
    wide = by_trial(results).reindex(columns=["setting", "seed", *NUMBERS])
    wide["alpha"] = wide["setting"].map(alpha_of)
    swept = wide.dropna(subset="alpha")
    return swept.groupby("alpha")[list(NUMBERS)].mean().reset_index()
