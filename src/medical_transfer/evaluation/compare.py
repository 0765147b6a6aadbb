"""Which of two models is better on the same test images, and could the difference be chance?

Both are measured on the same resamples of whole groups, so what makes an image hard falls out of the difference. Of two
classes the areas under the ROC curves are also compared by DeLong's method, which draws nothing.

Shapes: N images.
"""

from __future__ import annotations

import math
from typing import TypedDict

import numpy as np
import pandas as pd

from medical_transfer.config.evaluation import Evaluation
from medical_transfer.evaluation.evaluate import identity_of_test
from medical_transfer.evaluation.measures import noise_of, statistics_of
from medical_transfer.evaluation.scored import Scored, check_columns, positive_last, read_scored
from medical_transfer.metrics.delong import paired_difference
from medical_transfer.metrics.intervals import bootstrap_counts, paired_intervals, strata
from medical_transfer.runtime.seeds import generator
from medical_transfer.splits.leakage import split_hash
from medical_transfer.types import Interval, MetricRow, Split, UserError


class Pair(TypedDict):
    """A metric of both models, and the second minus the first."""

    first: MetricRow
    second: MetricRow
    difference: MetricRow


class DeLongTest(TypedDict):
    """AUROC of the second model minus that of the first, with its interval and two-sided p-value."""

    estimate: float
    low: float
    high: float
    p: float


class Comparison(TypedDict):
    """Two models on the same images, as it is written to JSON."""

    split: Split
    images: int
    groups: int
    classes: list[str]
    positive: str | None
    split_hash: str
    test_set: str | None
    metrics: dict[str, Pair]
    delong: DeLongTest | None
    agreement: float
    intervals: dict[str, float]


def compare(
    first: pd.DataFrame,
    second: pd.DataFrame,
    classes: list[str],
    positive: str | None,
    config: Evaluation,
    seed: int,
    split: Split = "test",
) -> Comparison:
    """Set two predictions tables side by side; decisions are those that the tables publish.

    Differences are second minus first, NaN where a metric is undefined for either.

    Args:
        first: image_id, label, group_id, split, p_<class> of each class, and optionally decision.
        second: the same of the other model, rows in any order.
        classes: names of the classes.
        positive: the positive one of two classes; null: the last in sorted order.
        config: resamples, coverage, bins and fixed rates.
        seed: root seed, with the streams of `evaluate`.
        split: whose images are compared.

    Raises:
        UserError: the tables are not of the same images in the same splits.
    """
    ordered = positive_last(classes, positive)
    one, other = _compared(first, second, ordered, split)
    return Comparison(
        split=split,
        images=int(one.labels_N.size),
        groups=int(np.unique(one.groups_N).size),
        classes=list(classes),
        positive=ordered[-1] if one.binary else None,
        split_hash=split_hash(first),
        test_set=identity_of_test(first),
        metrics=_pairs(one, other, config, seed),
        delong=_delong(one, other, config) if one.binary else None,
        agreement=float((one.decided_N == other.decided_N).mean()) if one.labels_N.size else math.nan,
        intervals={"coverage": config.coverage, "resamples": config.resamples},
    )


def _compared(first: pd.DataFrame, second: pd.DataFrame, ordered: list[str], split: Split) -> tuple[Scored, Scored]:
    for table in (first, second):
        check_columns(table, ordered, "image_id")
    check_same_split(split_hash(first), split_hash(second))
    _check_same_images(_predicted(first, split, ordered), _predicted(second, split, ordered), split)
    one, other = (read_scored(_in_order(table), split, ordered, None) for table in (first, second))
    return one, other


def check_same_split(first: str, second: str) -> None:
    """Refuse models that did not learn from the same part of the same images: one may have seen the other's test.

    Raises:
        UserError: the split hashes differ.
    """
    if first != second:
        raise UserError(
            f"the two models stand on different splits (split hashes {first} and {second}): one may have learned from "
            "test images of the other, so no comparison is fair. Train both with the same images, split and run.seed."
        )


def _predicted(table: pd.DataFrame, split: Split, classes: list[str]) -> pd.DataFrame:
    """Which images of a split have probabilities, and their labels, in the order of `image_id`."""
    rows = _in_order(table[table["split"] == split])
    kept = rows[[f"p_{name}" for name in classes]].notna().all(axis=1)
    return rows.loc[kept, ["image_id", "label"]].reset_index(drop=True)


def _check_same_images(first: pd.DataFrame, second: pd.DataFrame, split: Split) -> None:
    if not first.equals(second):
        raise UserError(
            f"the two predictions tables differ in the {split} images that have probabilities, or in their labels "
            f"({len(first)} and {len(second)} images): predict both on the same images again"
        )


def _in_order(table: pd.DataFrame) -> pd.DataFrame:
    return table.sort_values("image_id", kind="stable")


def _pairs(one: Scored, other: Scored, config: Evaluation, seed: int) -> dict[str, Pair]:
    rng = generator(seed, f"bootstrap/{one.split}")
    chunks = bootstrap_counts(one.groups_N, strata(one.labels_N, one.groups_N), config.resamples, rng)
    noise = (noise_of(one, config), noise_of(other, config))
    found = paired_intervals(statistics_of(one, config), statistics_of(other, config), chunks, config.coverage, noise)
    images, groups = int(one.labels_N.size), int(np.unique(one.groups_N).size)
    return {name: _pair(three, images, groups) for name, three in found.items()}


def _pair(three: tuple[Interval, Interval, Interval], images: int, groups: int) -> Pair:
    first, second, difference = (each.row(images, groups) for each in three)
    return Pair(first=first, second=second, difference=difference)


def _delong(one: Scored, other: Scored, config: Evaluation) -> DeLongTest:
    scores = (one.probabilities_NC[:, 1], other.probabilities_NC[:, 1])
    found = paired_difference(one.labels_N, *scores, one.groups_N, config.coverage)
    return DeLongTest(estimate=found.estimate, low=found.low, high=found.high, p=found.p)
