"""From the table of the study of scores to how each score, and each baseline, agrees with each outcome."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from medical_transfer.config.transferability import ALWAYS
from medical_transfer.studies.transferability_names import (
    BASELINES,
    LP_FT,
    PROBE,
    SCORE,
    STATIC,
    cube,
    order_of,
    scores_in,
)
from medical_transfer.transferability.agreement import (
    COVERAGE,
    LEAST_SOURCES,
    Floats,
    Statistic,
    mean_over_targets,
    null_band_of_mean,
    one_tau,
    pearson,
    per_target,
    static_order,
    top1_regret,
)
from medical_transfer.transferability.agreement_file import OutcomeAgreement, ScoreAgreement
from medical_transfer.types import Interval

TOO_FEW = f"fewer than {LEAST_SOURCES} sources have both on any target"


@dataclass(frozen=True)
class Measured:
    """One outcome and all scores of a table, as (targets, seeds, sources), with the mean cost of each score."""

    outcome_TSM: Floats
    scores: Mapping[str, Floats]
    seconds: Mapping[str, float]

    def together(self, first: str, second: str) -> tuple[Floats, Floats]:
        """Two scores on the sources that have both."""
        both = np.isfinite(self.scores[first]) & np.isfinite(self.scores[second])
        return np.where(both, self.scores[first], np.nan), np.where(both, self.scores[second], np.nan)


def agreements(results: pd.DataFrame, sources: Sequence[str]) -> dict[str, OutcomeAgreement]:
    """Outcome -> all scores and baselines against it, over the targets of the table.

    Args:
        results: the study's table.
        sources: names in the order in which they are listed: the baseline `always_the_same`.
    """
    known = results[results["method"].isin(list(sources))]
    targets, seeds = order_of(known, "setting"), order_of(known, "seed")
    found = {}
    for outcome in (PROBE, LP_FT):
        outcome_TSM = cube(known, outcome, targets=targets, seeds=seeds, sources=sources)
        if np.isfinite(outcome_TSM).any():
            measured = _measured(known, outcome_TSM, targets, seeds, sources)
            scores = tuple(_agreement(name, measured) for name in measured.scores)
            found[outcome] = OutcomeAgreement(outcome, tuple(targets), tuple(sources), len(seeds), scores)
    return found


def _measured(
    known: pd.DataFrame, outcome_TSM: Floats, targets: Sequence[str], seeds: Sequence[int], sources: Sequence[str]
) -> Measured:
    scores = {
        name: cube(known, SCORE + name, targets=targets, seeds=seeds, sources=sources) for name in scores_in(known)
    }
    scores[ALWAYS] = np.broadcast_to(-np.arange(len(sources), dtype=float), outcome_TSM.shape)
    scores[STATIC] = static_order(outcome_TSM)
    seconds = known.groupby("metric")["seconds"].mean()
    return Measured(outcome_TSM, scores, {name: float(seconds.get(SCORE + name, 0.0)) for name in scores})


def _agreement(name: str, measured: Measured) -> ScoreAgreement:
    scores_TSM, outcome_TSM = measured.scores[name], measured.outcome_TSM
    both = np.isfinite(scores_TSM) & np.isfinite(outcome_TSM)
    taus_T = per_target(one_tau, scores_TSM, outcome_TSM)
    known_T = np.isfinite(taus_T)
    counts_T = both.sum(axis=2).mean(axis=1)
    return ScoreAgreement(
        score=name,
        baseline=name in BASELINES,
        tau_w=mean_over_targets(taus_T),
        null_band=null_band_of_mean(np.where(both, outcome_TSM, np.nan)),
        pearson=mean_over_targets(per_target(pearson, scores_TSM, outcome_TSM)),
        regret=mean_over_targets(per_target(top1_regret, scores_TSM, outcome_TSM)),
        seconds=measured.seconds[name],
        targets=int(known_T.sum()),
        sources=float(counts_T[known_T].mean()) if known_T.any() else math.nan,
        gains=_against(name, measured, one_tau, sign=1.0),
        saved=_against(name, measured, top1_regret, sign=-1.0),
        reason=None if known_T.any() else TOO_FEW,
    )


def _against(name: str, measured: Measured, statistic: Statistic, *, sign: float) -> dict[str, Interval]:
    """How much better than each baseline; paired by target, on the sources that both rank."""
    if name in BASELINES:
        return {}
    others = [each for each in measured.scores if each not in BASELINES]
    coverage = 1 - (1 - COVERAGE) / len(others)
    found = {}
    for baseline in BASELINES:
        if baseline in measured.scores:
            mine_TSM, theirs_TSM = measured.together(name, baseline)
            mine_T = per_target(statistic, mine_TSM, measured.outcome_TSM)
            theirs_T = per_target(statistic, theirs_TSM, measured.outcome_TSM)
            found[baseline] = mean_over_targets(sign * (mine_T - theirs_T), coverage=coverage)
    return found
