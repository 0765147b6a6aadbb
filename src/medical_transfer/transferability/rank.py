"""Scores of a source with their cost in seconds, and the order of sources under each score."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import TypeVar

import numpy as np

from medical_transfer.transferability import SCORES
from medical_transfer.transferability.evidence import Evidence, Undefined
from medical_transfer.transferability.linear_probe import probe_folds

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class ScoreValue:
    """One score of one source: its value (NaN where undefined, with the reason) and what it cost."""

    value: float
    seconds: float
    reason: str | None = None


@dataclass(frozen=True, slots=True)
class SourceScores:
    """All scores of one source by name, and the AUROC of its linear probe in each fold (empty where undefined)."""

    values: dict[str, ScoreValue]
    fold_aurocs: tuple[float, ...]


def score_source(evidence: Evidence, names: Iterable[str] = tuple(SCORES)) -> SourceScores:
    """Compute and time scores of the menu on one source; the probe is fitted once for its mean and its folds."""
    fold_aurocs, probe_seconds, probe_reason = _timed(probe_folds, evidence)
    mean = math.nan if fold_aurocs is None else float(np.mean(fold_aurocs))
    probe = ScoreValue(mean, probe_seconds, probe_reason)
    values = {name: probe if name == "linear_probe" else measure(SCORES[name], evidence) for name in names}
    return SourceScores(values, fold_aurocs or ())


def measure(score: Callable[[Evidence], float], evidence: Evidence) -> ScoreValue:
    """Compute and time one score; `Undefined` becomes NaN with its reason, any other error is a fault and passes."""
    value, seconds, reason = _timed(score, evidence)
    return ScoreValue(math.nan if value is None else float(value), seconds, reason)


def rankings(scores: Mapping[str, Mapping[str, ScoreValue]]) -> dict[str, tuple[str, ...]]:
    """Sources from best to worst under each score, from `scores[source][score]`.

    A source whose score is undefined has no rank there and is left out; equal values keep the given order of sources.
    """
    names = dict.fromkeys(name for values in scores.values() for name in values)
    return {
        name: _best_first({source: values[name].value for source, values in scores.items() if name in values})
        for name in names
    }


def _best_first(values: Mapping[str, float]) -> tuple[str, ...]:
    defined = [source for source, value in values.items() if not math.isnan(value)]
    return tuple(sorted(defined, key=lambda source: -values[source]))


def _timed(score: Callable[[Evidence], T], evidence: Evidence) -> tuple[T | None, float, str | None]:
    started_s = time.perf_counter()
    try:
        value, reason = score(evidence), None
    except Undefined as undefined:
        value, reason = None, str(undefined)
    return value, time.perf_counter() - started_s, reason
