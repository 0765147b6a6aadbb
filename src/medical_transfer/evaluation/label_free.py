"""Which of several adapted models to take where nobody has labels, and what speaks against it.

Shapes: N images of the target, C classes.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from functools import partial
from typing import TypedDict

import numpy as np
import pandas as pd

from medical_transfer.config.adaptation import TARGET_SCORES as NAMES
from medical_transfer.metrics.classification import Floats
from medical_transfer.metrics.label_free import TARGET_SCORES
from medical_transfer.metrics.negative_transfer import signs_of_negative_transfer
from medical_transfer.types import UserError

SOURCE_ONLY = "source_only"
WATCHED = ("im", "bnm")
"""Scores whose fall is an alarm. The other two are high for a network that says the same of all images, so they fall
where one gets better than that."""


class Choice(TypedDict):
    """What can be said of models without a label of the target; by method."""

    chosen: str
    by: str
    images: int
    scores: dict[str, dict[str, float]]
    called: dict[str, dict[str, float]]
    alarms: dict[str, list[str]]


def choose(
    predictions: Mapping[str, pd.DataFrame],
    classes: Sequence[str],
    *,
    by: str,
    source_prior_C: Floats,
    beside: Mapping[str, Mapping[str, float]] | None = None,
) -> Choice:
    """Judge models on the target's validation images without their labels, and take the best by one score.

    Args:
        predictions: method -> its predictions table of the target; the label is not read. `SOURCE_ONLY` is among them.
        classes: names of the classes.
        by: the score that decides; of equals the first method is taken, and one without a value never.
        source_prior_C: share of each class among the source's training images.
        beside: method -> more scores, which rest on the source's labels.

    Raises:
        UserError: where the target has fewer than two validation images.
    """
    stated = {method: _probabilities(table, classes) for method, table in predictions.items()}
    scores = {method: {**_scores(p_NC), **(beside or {}).get(method, {})} for method, p_NC in stated.items()}
    shares = {
        method: np.bincount(p_NC.argmax(axis=1), minlength=len(classes)) / len(p_NC) for method, p_NC in stated.items()
    }
    plain = _watched(scores[SOURCE_ONLY])
    signs = partial(signs_of_negative_transfer, plain, source_prior_C=source_prior_C, classes=classes)
    alarms = {method: list(signs(_watched(scores[method]), probabilities_NC=p_NC)) for method, p_NC in stated.items()}
    return Choice(
        chosen=best_by(scores, by),
        by=by,
        images=len(stated[SOURCE_ONLY]),
        scores=scores,
        called={method: dict(zip(classes, share_C.tolist(), strict=True)) for method, share_C in shares.items()},
        alarms=alarms,
    )


def best_by(scores: Mapping[str, Mapping[str, float]], by: str) -> str:
    """The method with the highest value of one score: of equals the first, one without a value never."""
    values = {method: found[by] for method, found in scores.items()}
    return max(values, key=lambda method: -math.inf if undefined(values[method]) else values[method])


def undefined(value: float | None) -> bool:
    """Whether a score has no value (NaN, or null where it was read from a file)."""
    return value is None or math.isnan(value)


def _watched(scores: Mapping[str, float]) -> dict[str, float]:
    return {NAMES[name].replace("_", " "): scores[name] for name in WATCHED}


def _scores(probabilities_NC: Floats) -> dict[str, float]:
    return {name: TARGET_SCORES[score](probabilities_NC) for name, score in NAMES.items()}


def _probabilities(table: pd.DataFrame, classes: Sequence[str]) -> Floats:
    columns = [f"p_{name}" for name in classes]
    rows = table.loc[(table["split"] == "val") & table[columns[0]].notna(), columns]
    if len(rows) < 2:
        raise UserError(
            f"The second site has {len(rows)} validation images with predictions, on which methods are chosen without "
            "labels: two are the least. Give it more images."
        )
    return rows.to_numpy(dtype=np.float64)
