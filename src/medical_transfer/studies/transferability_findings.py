"""Findings of the study of scores beside the scores: domains, a controlled pair, several sources at once, costs."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd

from medical_transfer.studies.table import values_of
from medical_transfer.studies.time_left import in_words
from medical_transfer.studies.transferability_names import (
    BEST_SINGLE,
    FEATURES,
    LP_FT,
    OUTCOME_NAMES,
    PAIR,
    PROBE,
    SCORE,
    joined_name,
)
from medical_transfer.studies.transferability_tables import short_domain
from medical_transfer.transferability.agreement import mean_over_targets
from medical_transfer.transferability.agreement_file import LEAST_TARGETS
from medical_transfer.types import Interval


def interval_text(found: Interval, digits: int = 3) -> str:
    """An interval over targets as a mean with its ends, which one target does not have."""
    if math.isnan(found.estimate):
        return "-"
    if math.isnan(found.low):
        return f"{found.estimate:.{digits}f} (one target)"
    return f"{found.estimate:.{digits}f} ({found.low:.{digits}f} to {found.high:.{digits}f})"


def gain_by_target(results: pd.DataFrame, metric: str, better: str, worse: str) -> pd.Series:
    """Mean over seeds of the difference of two methods, paired by target and seed; targets that have both."""
    values = values_of(results, metric)
    by_trial = values.pivot_table(index=["setting", "seed"], columns="method", values="value", sort=False)
    if not {better, worse} <= set(by_trial.columns):
        return pd.Series(dtype=float)
    found: pd.Series = (by_trial[better] - by_trial[worse]).dropna().groupby(level="setting", sort=False).mean()
    return found


def reached(results: pd.DataFrame, metric: str, facts: Mapping[str, Mapping[str, Any]]) -> str:
    """A row per source, a column per target, its best value bold, and the mean over targets."""
    values = values_of(results[results["method"].isin(list(facts))], metric)
    means = values.pivot_table(index="method", columns="setting", values="value", sort=False)
    targets = list(means.columns)
    lines = ["| source | domain | " + " | ".join([*targets, "mean"]) + " |", "|---" * (len(targets) + 3) + "|"]
    best = means.max()
    for name, row in means.iterrows():
        cells = [f"**{row[each]:.3f}**" if row[each] == best[each] else _number(row[each]) for each in targets]
        whole = _number(row.mean()) if row.notna().all() else "-"
        lines.append(f"| {name} | {short_domain(facts[str(name)]['domain'])} | " + " | ".join([*cells, whole]) + " |")
    return "\n".join(lines)


def by_domain(results: pd.DataFrame, facts: Mapping[str, Mapping[str, Any]]) -> str:
    """The best source of each domain: how far its probe is from the target's mean, over targets."""
    values = values_of(results[results["method"].isin(list(facts))], PROBE)
    means = values.pivot_table(index="setting", columns="method", values="value", sort=False)
    centred = means.sub(means.mean(axis=1), axis=0)
    domains: dict[str, list[str]] = {}
    for name in centred.columns:
        domains.setdefault(short_domain(facts[str(name)]["domain"]), []).append(str(name))
    found = []
    above = {str(name): float(mean) for name, mean in centred.mean().items()}
    for domain, names in domains.items():
        best = max(names, key=above.__getitem__)
        found.append((domain, len(names), best, mean_over_targets(centred[best].to_numpy(float))))
    found.sort(key=lambda row: -row[3].estimate)
    lines = ["| source domain | sources | best of them | its probe above the target's mean |", "|---|---|---|---|"]
    lines += [f"| {domain} | {count} | {best} | {interval_text(mean)} |" for domain, count, best, mean in found]
    return "\n".join(lines)


def pair(results: pd.DataFrame) -> str:
    """ImageNet against COCO, everything else equal."""
    gains = gain_by_target(results, PROBE, *PAIR)
    if gains.empty:
        return f"Not measured: {PAIR[0]} and {PAIR[1]} are not both among the sources."
    found = mean_over_targets(gains.to_numpy(float))
    told = "; ".join(f"{target} {gain:+.3f}" for target, gain in gains.items())
    higher = int((gains > 0).sum())
    better = f"{'ImageNet' if found.estimate > 0 else 'COCO'} transfers better here"
    verdict = _shown(gains, found, up=better, down=better, neither="no difference is shown")
    return (
        f"`{PAIR[0]}` and `{PAIR[1]}` are one graph, trained on ImageNet and on COCO. AUROC of the linear probe, "
        f"ImageNet minus COCO: {interval_text(found)}; ImageNet is above on {higher} of {len(gains)} targets: "
        f"{verdict}. By target: {told}."
    )


def second_source(results: pd.DataFrame) -> str:
    """Whether features of two or three sources side by side pay, and what they cost."""
    lines = []
    for count in (2, 3):
        gains = gain_by_target(results, PROBE, joined_name(count), BEST_SINGLE)
        if gains.empty:
            continue
        found = mean_over_targets(gains.to_numpy(float))
        shown = _shown(gains, found, up="it pays", down="it harms", neither="it is not shown to pay")
        told = "; ".join(f"{target} {gain:+.3f}" for target, gain in gains.items())
        cost = _seconds(results, PROBE, joined_name(count)) / max(_seconds(results, PROBE, BEST_SINGLE), 1e-9)
        lines.append(
            f"- {count} sources: {interval_text(found)} above the best single one, for {cost:.1f} times its seconds: "
            f"{shown}. By target: {told}."
        )
    if not lines:
        return "Not measured: fewer than two pretrained sources."
    head = (
        "Features of the best sources by their cross-validated probe on the training images, side by side under one "
        "linear probe, paired by target and seed with the best of them alone (AUROC; interval over targets):"
    )
    return "\n".join([head, "", *lines])


def costs(results: pd.DataFrame, scores: list[str]) -> str:
    """Seconds of scoring one source on one target against those of training it."""
    features = _seconds(results, FEATURES)
    lines = [f"- frozen features of all images of a target: {in_words(features)}"]
    each = {name: _seconds(results, SCORE + name) for name in scores}
    told = ", ".join(f"{name} {seconds:.2g} s" for name, seconds in sorted(each.items(), key=lambda pair: -pair[1]))
    lines.append(f"- scores from them: {told}; together {sum(each.values()):.2g} s")
    training = _seconds(results, LP_FT)
    if not math.isnan(training):
        dear = 100 * sum(each.values()) / training
        lines.append(f"- fine-tuning: {in_words(training)}, of which all scores together are {dear:.0f} %")
    return "\n".join(["Mean for one source on one target:", "", *lines])


def best_source(results: pd.DataFrame, metric: str, facts: Mapping[str, Any]) -> str | None:
    """The source with the highest mean over targets among those that all targets have, as a sentence."""
    values = values_of(results[results["method"].isin(list(facts))], metric)
    means = values.pivot_table(index="setting", columns="method", values="value", sort=False).dropna(axis=1)
    if means.empty:
        return None
    best = str(means.mean().idxmax())
    return f"By {OUTCOME_NAMES[metric]}, {best} is best on average (test AUROC {means[best].mean():.3f})."


def _shown(gains: pd.Series, found: Interval, *, up: str, down: str, neither: str) -> str:
    """What a mean difference over targets allows to say."""
    if len(gains) < LEAST_TARGETS:
        return f"too few targets to say (at least {LEAST_TARGETS})"
    return up if found.low > 0 else (down if found.high < 0 else neither)


def _seconds(results: pd.DataFrame, metric: str, method: str | None = None) -> float:
    mine = results[results["metric"] == metric]
    mine = mine if method is None else mine[mine["method"] == method]
    known = mine["seconds"].dropna()
    return float(known.mean()) if len(known) else math.nan


def _number(value: float) -> str:
    return f"{value:.3f}" if np.isfinite(value) else "-"
