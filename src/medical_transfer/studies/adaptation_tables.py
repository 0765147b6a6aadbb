"""Numbers of the study of adaptation, from its table alone."""

from __future__ import annotations

import re
from collections.abc import Sequence

import pandas as pd

from medical_transfer.config.adaptation import TARGET_SCORES
from medical_transfer.studies.adaptation_names import (
    DANN_ALPHA,
    DISTANCE,
    HEADLINE,
    SOURCE_ACCURACY,
    TARGET_ACCURACY,
    alpha_of,
)

NUMBERS = (TARGET_ACCURACY, SOURCE_ACCURACY, DISTANCE)
OF_TRIAL = ["trial_id", "method", "setting", "seed"]
BEST_EPOCH = "best_epoch_accuracy"
_EPOCH = re.compile(r"epoch_(\d+)_(\w+)")


def by_trial(results: pd.DataFrame) -> pd.DataFrame:
    """One row per finished trial, in their order: `NUMBERS`, seconds, and the best accuracy of any epoch."""
    known = results[results["metric"].isin(NUMBERS)]
    wide = known.pivot_table(index=[*OF_TRIAL, "seconds"], columns="metric", values="value", sort=False)
    wide = wide.reindex(columns=list(NUMBERS)).reset_index().rename_axis(columns=None)
    best = by_epoch(results).groupby("trial_id")[TARGET_ACCURACY].max().rename(BEST_EPOCH)
    return wide.join(best, on="trial_id")


def by_epoch(results: pd.DataFrame) -> pd.DataFrame:
    """One row per trial and epoch: the label-free scores by their short names, and the accuracy on test images."""
    found = results["metric"].str.extract(_EPOCH.pattern).set_axis(["epoch", "number"], axis=1)
    mine = results[[*OF_TRIAL, "value"]].join(found).dropna(subset="epoch")
    wide = mine.pivot_table(index=[*OF_TRIAL, "epoch"], columns="number", values="value", sort=False)
    return wide.reindex(columns=[*TARGET_SCORES, TARGET_ACCURACY]).reset_index().rename_axis(columns=None)


def method_means(results: pd.DataFrame) -> pd.DataFrame:
    """Of each method over its seeds: means, standard deviations (`..._spread`, divisor n - 1) and how many seeds."""
    wide = by_trial(results)
    grouped = wide[wide["setting"] == HEADLINE].groupby("method", sort=False)
    numbers = [*NUMBERS, BEST_EPOCH]
    spreads = grouped[numbers].std(ddof=1).add_suffix("_spread")
    return grouped[[*numbers, "seconds"]].mean().join(spreads).join(grouped.size().rename("seeds")).reset_index()


def swept(rows: pd.DataFrame) -> pd.DataFrame:
    """The rows that belong to the sweep, with their `alpha`; DANN's trial among the methods is that of its strength."""
    rows = rows.assign(alpha=rows["setting"].map(alpha_of).astype("float64"))
    seeds = rows.loc[rows["alpha"].notna(), "seed"].unique()
    shared = (rows["setting"] == HEADLINE) & (rows["method"] == "dann") & rows["seed"].isin(seeds)
    rows.loc[shared, "alpha"] = DANN_ALPHA
    return rows.dropna(subset="alpha").sort_values(["alpha", "seed"], kind="stable").reset_index(drop=True)


def sweep_rows(results: pd.DataFrame) -> pd.DataFrame:
    """Of each strength of the sweep, ascending: means over its seeds."""
    return swept(by_trial(results)).groupby("alpha")[[*NUMBERS, BEST_EPOCH]].mean().reset_index()


def epoch_gaps(results: pd.DataFrame) -> pd.DataFrame:
    """Of each label-free score: mean accuracy of the epochs that it picks in all trials, of the best, and the gap."""
    epochs = by_epoch(results)
    rows = []
    for score in TARGET_SCORES:
        picked = _picked(epochs, score, ["trial_id"])[TARGET_ACCURACY].mean()
        best = epochs.groupby("trial_id")[TARGET_ACCURACY].max().mean()
        rows.append({"score": score, "picked": picked, "best": best, "gap": best - picked})
    return pd.DataFrame(rows)


def choices(results: pd.DataFrame, of: str) -> pd.DataFrame:
    """What each label-free score takes among all epochs of all methods, or of all strengths, under one seed.

    Args:
        results: the study's table.
        of: `method` or `alpha`.

    Returns:
        A row per seed and score: what it `picked`, its `accuracy`, what is `best`, its `best_accuracy`, and the `gap`.
    """
    epochs = by_epoch(results)
    epochs = swept(epochs) if of == "alpha" else epochs[epochs["setting"] == HEADLINE]
    rows = []
    for score in TARGET_SCORES:
        for (seed, mine), (_, best) in zip(
            _picked(epochs, score, ["seed"]).groupby("seed"),
            _picked(epochs, TARGET_ACCURACY, ["seed"]).groupby("seed"),
            strict=True,
        ):
            reached, possible = (float(each[TARGET_ACCURACY].iloc[0]) for each in (mine, best))
            told = {
                "picked": mine[of].iloc[0],
                "accuracy": reached,
                "best": best[of].iloc[0],
                "best_accuracy": possible,
            }
            rows.append({"seed": seed, "score": score, **told, "gap": possible - reached})
    return pd.DataFrame(rows)


def _picked(epochs: pd.DataFrame, score: str, within: Sequence[str]) -> pd.DataFrame:
    """The row with the highest score in each group, the first of equals."""
    known = epochs.dropna(subset=score)
    return known.loc[known.groupby(list(within), sort=False)[score].idxmax()]
