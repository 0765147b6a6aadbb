"""What the model's decisions are worth in practice: predictive values where the disease is rarer, and the net benefit.

Shapes: B resamples, N images, T thresholds.
"""

from __future__ import annotations

from functools import partial
from typing import TypedDict

import numpy as np

from medical_transfer.config.evaluation import Evaluation
from medical_transfer.evaluation.scored import Scored
from medical_transfer.metrics.classification import Floats, one_hot
from medical_transfer.metrics.decision_curves import net_benefit, treat_all
from medical_transfer.metrics.intervals import Statistic, bootstrap_counts, intervals, strata
from medical_transfer.metrics.predictive_values import npv_at, ppv_at
from medical_transfer.runtime.seeds import generator
from medical_transfer.types import MetricRow

THRESHOLDS_T = np.arange(1, 100) / 100


class Predictive(TypedDict):
    """Predictive values of the published decisions at one prevalence."""

    prevalence: float
    ppv: MetricRow
    npv: MetricRow


class DecisionCurve(TypedDict):
    """Net benefit by threshold, and of treating all; treating none has 0.

    `useful` are thresholds where the model is better than both, also at the low end of its interval.
    """

    thresholds: list[float]
    model: list[float]
    low: list[float]
    high: list[float]
    treat_all: list[float]
    useful: list[float]


def predictive_values(scored: Scored, config: Evaluation, seed: int) -> list[Predictive]:
    """PPV and NPV at each prevalence of the configuration; nothing where there are no two classes."""
    if not scored.binary or not scored.labels_N.size:
        return []
    decided_NC = one_hot(scored.decided_N, 2)
    asked: dict[str, Statistic] = {}
    for rate in config.prevalences:
        asked[f"ppv/{rate}"] = partial(ppv_at, scored.labels_N, decided_NC, prevalence=rate)
        asked[f"npv/{rate}"] = partial(npv_at, scored.labels_N, decided_NC, prevalence=rate)
    rng = generator(seed, f"bootstrap/predictive/{scored.split}")
    chunks = bootstrap_counts(scored.groups_N, strata(scored.labels_N, scored.groups_N), config.resamples, rng)
    images, groups = int(scored.labels_N.size), int(np.unique(scored.groups_N).size)
    rows = {name: each.row(images, groups) for name, each in intervals(asked, chunks, config.coverage).items()}
    return [Predictive(prevalence=r, ppv=rows[f"ppv/{r}"], npv=rows[f"npv/{r}"]) for r in config.prevalences]


def decision_curve(scored: Scored, config: Evaluation, seed: int) -> DecisionCurve | None:
    """Net benefit at thresholds .01 to .99 with pointwise intervals; null without images of two classes."""
    if not scored.binary or scored.missing:
        return None
    images = (scored.labels_N, scored.probabilities_NC[:, 1], THRESHOLDS_T)
    rng = generator(seed, f"bootstrap/net_benefit/{scored.split}")
    # Unlike elsewhere the classes are drawn together: the net benefit hangs on the prevalence, itself an estimate.
    one_stratum_N = np.zeros_like(scored.labels_N)
    chunks = bootstrap_counts(scored.groups_N, one_stratum_N, config.resamples, rng)
    values, gains = [], []
    for weights_bN in chunks:
        of_model_bT, of_all_bT = net_benefit(*images, weights_bN), treat_all(scored.labels_N, THRESHOLDS_T, weights_bN)
        values.append(of_model_bT)
        gains.append(of_model_bT - np.maximum(of_all_bT, 0))
    ones_1N, tail = np.ones((1, scored.labels_N.size)), (1 - config.coverage) / 2
    low_T, high_T = np.quantile(np.concatenate(values), [tail, 1 - tail], axis=0)
    gained_T = np.quantile(np.concatenate(gains), tail, axis=0)
    return DecisionCurve(
        thresholds=THRESHOLDS_T.tolist(),
        model=_numbers(net_benefit(*images, ones_1N)[0]),
        low=_numbers(low_T),
        high=_numbers(high_T),
        treat_all=_numbers(treat_all(scored.labels_N, THRESHOLDS_T, ones_1N)[0]),
        useful=THRESHOLDS_T[gained_T > 0].tolist(),
    )


def _numbers(values_T: Floats) -> list[float]:
    return [float(value) for value in values_T]
