"""What the figures of the study of scores show, computed from its table."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import pandas as pd

from medical_transfer.studies.transferability_names import LP_FT, PROBE, SCORE, scores_in
from medical_transfer.transferability.agreement_file import OutcomeAgreement


def outcome_means(results: pd.DataFrame, sources: Sequence[str]) -> pd.DataFrame:
    """Mean over seeds of both outcomes: `outcome, target, source, mean, seeds`; NaN where there is none."""
    mine = results[results["metric"].isin([PROBE, LP_FT]) & results["method"].isin(list(sources))]
    grouped = mine.groupby(["metric", "setting", "method"], sort=False)["value"]
    found = grouped.agg(mean="mean", seeds="count").reset_index()
    return found.rename(columns={"metric": "outcome", "setting": "target", "method": "source"})


def main_outcome(outcomes: Mapping[str, OutcomeAgreement]) -> OutcomeAgreement:
    """What scores are judged by first: fine-tuning, where enough sources have it, else the probe."""
    usual = [outcomes[name] for name in (LP_FT, PROBE) if name in outcomes]
    return next((each for each in usual if any(score.targets for score in each.scores)), usual[0])


def score_points(results: pd.DataFrame, agreement: Mapping[str, Any]) -> pd.DataFrame:
    """A row per outcome, score, target and source, means over seeds: `outcome, score, target, source, domain, x, y`.

    `x` is the score and `y` the outcome minus the mean outcome of the target, so that targets can be seen together.
    """
    sources = agreement["sources"]
    mine = results[results["method"].isin(list(sources))]
    means = mine.groupby(["metric", "setting", "method"], sort=False)["value"].mean()
    rows = []
    for outcome in [name for name in (PROBE, LP_FT) if name in means.index]:
        centred = means[outcome] - means[outcome].groupby(level="setting").transform("mean")
        for score in scores_in(mine):
            both = pd.concat({"x": means[SCORE + score], "y": centred}, axis=1).dropna().reset_index()
            rows.append(both.assign(outcome=outcome, score=score))
    found = pd.concat(rows) if rows else pd.DataFrame(columns=["setting", "method", "x", "y", "outcome", "score"])
    found = found.rename(columns={"setting": "target", "method": "source"})
    domains = found["source"].map(lambda name: short_domain(sources[name]["domain"]))
    return found.assign(domain=domains).reset_index(drop=True)


def taus(agreement: Mapping[str, Any]) -> dict[tuple[str, str], float | None]:
    """(outcome, score) -> mean weighted tau; None where it is not defined."""
    return {
        (name, each["score"]): each["tau_w"]["estimate"]
        for name, outcome in agreement["outcomes"].items()
        for each in outcome["scores"]
    }


def short_domain(domain: str) -> str:
    """A source's domain without what stands in parentheses."""
    return domain.split(" (", maxsplit=1)[0]
