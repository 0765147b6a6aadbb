"""From the predictions table to what is published: every metric with its interval, and what to beware of.

Shapes: N images, C classes.
"""

from __future__ import annotations

import hashlib
import math
from typing import TypedDict

import numpy as np
import numpy.typing as npt
import pandas as pd

from medical_transfer.config.evaluation import Evaluation
from medical_transfer.evaluation.cautions import cautions, undefined
from medical_transfer.evaluation.measures import noise_of, statistics_of
from medical_transfer.evaluation.scored import Scored, check_columns, positive_last, read_scored
from medical_transfer.metrics.classification import Codes, confusion_matrix
from medical_transfer.metrics.intervals import bootstrap_counts, intervals, strata
from medical_transfer.runtime.seeds import generator
from medical_transfer.types import Interval, MetricRow, Split

EVALUATED: tuple[Split, ...] = ("val", "test")


class About(TypedDict):
    """What the metric rows rest on. Splits are keys; matrices have the order of `classes`, rows are the truth."""

    classes: list[str]
    positive: str | None
    threshold: float | None
    prevalence: dict[str, dict[str, float]]
    confusion: dict[str, list[list[int]]]
    left_out: dict[str, dict[str, int]]
    undefined: dict[str, dict[str, str]]
    warnings: list[str]
    intervals: dict[str, float]
    test_set: str | None


class Evaluated(TypedDict):
    """The evaluation of one model, as it is written to JSON."""

    val: dict[str, MetricRow]
    test: dict[str, MetricRow]
    about: About


def evaluate(
    predictions: pd.DataFrame,
    classes: list[str],
    positive: str | None,
    threshold: float | None,
    config: Evaluation,
    seed: int,
) -> Evaluated:
    """Measure the validation and the test rows of a predictions table.

    Names: menus in `metrics`; sensitivity and specificity with two classes, else auroc_<class>, recall_<class>.

    Args:
        predictions: label, group_id (null: its own), split, p_<class> of each class, and optionally decision (class
            names). Rows without probabilities (quarantined) or label are left out and counted.
        classes: in the order of published matrices.
        positive: the positive one of two classes; null: the last in sorted order. Ignored where there are more.
        threshold: frozen threshold of the positive class; null: the most probable class.
        config: resamples, coverage and bins.
        seed: root seed; each split draws from its own stream.

    Raises:
        UserError: from `positive_last`, `check_columns` or `read_scored`.
    """
    ordered = _ordered(predictions, classes, positive)
    splits = [read_scored(predictions, split, ordered, threshold) for split in EVALUATED]
    rows = {scored.split: _rows(scored, config, seed) for scored in splits}
    about = About(
        classes=list(classes),
        positive=ordered[-1] if len(ordered) == 2 else None,
        threshold=threshold,
        prevalence={each.split: _prevalence(each, classes) for each in splits},
        confusion={each.split: _confusion(each, classes) for each in splits},
        left_out={each.split: each.left_out for each in splits},
        undefined={each.split: undefined(each, rows[each.split]) for each in splits},
        warnings=[sentence for each in splits for sentence in cautions(each, rows[each.split])],
        intervals={"coverage": config.coverage, "resamples": config.resamples},
        test_set=identity_of_test(predictions),
    )
    return Evaluated(val=rows["val"], test=rows["test"], about=about)


def _ordered(predictions: pd.DataFrame, classes: list[str], positive: str | None) -> list[str]:
    check_columns(predictions, classes)
    return positive_last(classes, positive)


def identity_of_test(predictions: pd.DataFrame) -> str | None:
    """What identifies the test images, in any order: 16 hex digits; null where the table has no image_id."""
    if "image_id" not in predictions.columns:
        return None
    names = sorted(predictions.loc[predictions["split"] == "test", "image_id"].astype(str))
    return hashlib.sha256("\n".join(names).encode()).hexdigest()[:16]


def _rows(scored: Scored, config: Evaluation, seed: int) -> dict[str, MetricRow]:
    statistics, noise = statistics_of(scored, config), noise_of(scored, config)
    rests_on = {"sensitivity": scored.labels_N == 1, "specificity": scored.labels_N == 0}
    rests_on |= {f"recall_{name}": scored.labels_N == code for code, name in enumerate(scored.classes)}
    if scored.labels_N.size:
        rng = generator(seed, f"bootstrap/{scored.split}")
        chunks = bootstrap_counts(scored.groups_N, strata(scored.labels_N, scored.groups_N), config.resamples, rng)
        found = intervals(statistics, chunks, config.coverage, noise)
    else:
        found = {name: Interval(math.nan) for name in statistics}
    everything = np.ones(scored.labels_N.size, dtype=bool)
    return {name: _row(each, scored.groups_N[rests_on.get(name, everything)]) for name, each in found.items()}


def _row(found: Interval, groups_N: Codes) -> MetricRow:
    return found.row(n=int(groups_N.size), groups=int(np.unique(groups_N).size))


def _prevalence(scored: Scored, classes: list[str]) -> dict[str, float]:
    images = scored.labels_N.size or math.nan
    return {name: float((scored.labels_N == scored.classes.index(name)).sum() / images) for name in classes}


def _confusion(scored: Scored, classes: list[str]) -> list[list[int]]:
    matrix: npt.NDArray[np.int64] = confusion_matrix(scored.labels_N, scored.decided_N, len(classes))
    order = [scored.classes.index(name) for name in classes]
    rows: list[list[int]] = matrix[np.ix_(order, order)].tolist()
    return rows
