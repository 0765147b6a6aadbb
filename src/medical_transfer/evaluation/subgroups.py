"""Does the model work for everybody? The test images divided by site, sex, age or any other column of the table.

A level with too few groups is named with its numbers and not measured: its interval would say nothing, and an average
over levels would hide it. The worst level is told with its distance from all other images, at an interval widened for
the number of levels (Bonferroni): of many levels one is the worst by chance alone.

Shapes: N images.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import partial
from typing import TypedDict

import numpy as np
import numpy.typing as npt
import pandas as pd

from medical_transfer.config.evaluation import Evaluation
from medical_transfer.evaluation.measures import statistics_of
from medical_transfer.evaluation.scored import Scored
from medical_transfer.metrics.classification import Floats
from medical_transfer.metrics.intervals import Statistic, bootstrap_counts, intervals, strata
from medical_transfer.runtime.seeds import generator
from medical_transfer.types import MetricRow

TWO = ("auroc", "sensitivity", "specificity")
MORE = ("auroc", "balanced_accuracy")
"""What is measured of each level, of two classes and of more."""

Mask = npt.NDArray[np.bool_]


class Level(TypedDict):
    """The images that share one value of a column; `reason` says why they were not measured."""

    column: str
    level: str
    n: int
    groups: int
    classes: dict[str, int]
    reason: str | None
    metrics: dict[str, MetricRow]


class Worst(TypedDict):
    """The level with the lowest value of a metric, and how far it lies from all other images."""

    metric: str
    column: str
    level: str
    row: MetricRow
    gap: MetricRow
    levels: int
    shown: bool


class Subgroups(TypedDict):
    """All levels, the worst of each metric, and columns that are no subgroups with the reason."""

    levels: list[Level]
    worst: list[Worst]
    left_out: dict[str, str]


def subgroups(
    scored: Scored, divisions: dict[str, pd.Series[str]], left_out: dict[str, str], config: Evaluation, seed: int
) -> Subgroups:
    """Measure the images of one split level by level.

    Args:
        scored: the images of the split.
        divisions: column -> the level of each row of the table that `scored` was read from (`levels.divisions`).
        left_out: columns that do not divide the images, with reasons, to be told.
        config: resamples, coverage, and how small a level may be.
        seed: root seed; each level draws from its own stream.
    """
    masks = {
        (column, str(level)): (of_rows.iloc[scored.places_N] == level).to_numpy(dtype=bool)
        for column, of_rows in divisions.items()
        for level in sorted(of_rows.iloc[scored.places_N].unique(), key=_place)
    }
    levels = [_level(scored.take(mask_N), *name, config, seed) for name, mask_N in masks.items()]
    wanted = ("auroc", TWO[1] if scored.binary else MORE[1])
    worst = [_worst(scored, masks, levels, metric, config, seed) for metric in wanted]
    return Subgroups(levels=levels, worst=[each for each in worst if each is not None], left_out=left_out)


def _place(level: str) -> tuple[float, str]:
    """Bands by their borders, the lowest first; words after them."""
    start = re.match(r"(below )?(-?[\d.]+)", level)
    return (float(start[2]) - (0.5 if start[1] else 0), level) if start else (np.inf, level)


def _level(mine: Scored, column: str, level: str, config: Evaluation, seed: int) -> Level:
    groups = int(np.unique(mine.groups_N).size)
    told = Level(
        column=column,
        level=level,
        n=int(mine.labels_N.size),
        groups=groups,
        classes={name: int((mine.labels_N == code).sum()) for code, name in enumerate(mine.classes)},
        reason=None,
        metrics={},
    )
    if groups < config.smallest_subgroup:
        return {**told, "reason": f"too small: {groups} groups, {config.smallest_subgroup} are the least"}
    statistics = statistics_of(mine, config)
    asked = {name: statistics[name] for name in (TWO if mine.binary else MORE)}
    found = intervals(asked, _draws(mine, config, seed, f"{column}/{level}"), config.coverage)
    lacks = f"no image of {', '.join(mine.missing)}" if mine.missing else None
    rows = {name: each.row(int(mine.labels_N.size), groups) for name, each in found.items()}
    return {**told, "reason": lacks, "metrics": rows}


def _draws(scored: Scored, config: Evaluation, seed: int, name: str) -> Iterator[Floats]:
    rng = generator(seed, f"bootstrap/subgroup/{name}")
    return bootstrap_counts(scored.groups_N, strata(scored.labels_N, scored.groups_N), config.resamples, rng)


def _worst(
    scored: Scored,
    masks: dict[tuple[str, str], Mask],
    levels: list[Level],
    metric: str,
    config: Evaluation,
    seed: int,
) -> Worst | None:
    """The lowest of the levels that are not all images and have an interval; null where fewer than two have."""
    known = [
        each
        for each in levels
        if metric in each["metrics"]
        and not np.isnan(each["metrics"][metric]["low"])
        and each["n"] < scored.labels_N.size
    ]
    if len(known) < 2:
        return None
    lowest = min(known, key=lambda each: each["metrics"][metric]["estimate"])
    inside_N = masks[lowest["column"], lowest["level"]]
    inside, outside = ((kept, statistics_of(scored.take(kept), config)[metric]) for kept in (inside_N, ~inside_N))
    coverage = 1 - (1 - config.coverage) / len(known)
    draws = _draws(scored, config, seed, f"gap/{metric}")
    gap = intervals({"gap": partial(_minus, inside, outside)}, draws, coverage)["gap"]
    return Worst(
        metric=metric,
        column=lowest["column"],
        level=lowest["level"],
        row=lowest["metrics"][metric],
        gap=gap.row(lowest["n"], lowest["groups"]),
        levels=len(known),
        shown=bool(gap.high < 0),
    )


def _minus(inside: tuple[Mask, Statistic], outside: tuple[Mask, Statistic], weights_BN: Floats) -> Floats:
    first_B, second_B = (statistic(weights_BN[:, mask_N]) for mask_N, statistic in (inside, outside))
    return np.asarray(first_B - second_B)
