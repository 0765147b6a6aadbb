"""The words of a search, computed from its table."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import pandas as pd
import yaml

from medical_transfer.config.search_space import Axis, Value
from medical_transfer.config.study_tuning import StudyTuning
from medical_transfer.reporting.units import metric_name
from medical_transfer.studies.conclusion import LEAST_SEEDS, paired_difference, t_interval
from medical_transfer.studies.settings import from_text, nested, own_setting
from medical_transfer.studies.settings_tried import CHOSEN, OWN, best_of, settings_of
from medical_transfer.studies.table import FAILED, values_of
from medical_transfer.studies.time_left import in_words
from medical_transfer.studies.words import command, ends, failed, on_what
from medical_transfer.types import Interval

SHOWN_SETTINGS = 5
EDGE = 0.05
"""So near to an end of its range, as a share of it, the best value may well lie beyond."""

NO_SPREAD = 1e-9
"""Differences that are equal but for rounding show nothing."""

LIMITS = """\
- The best of many settings looks better on validation than it is: its validation mean was picked for being high. Only
  the test images, which no trial of the search was handed, can say whether it is better.
- Seeds share their test images and draw training and validation images from the same set, so the intervals say how the
  difference varies with these draws and with first weights and order, not how it would on images of another site.
- A search of {settings} settings has not seen what lies between them or outside the ranges, and a study of few seeds
  shows large differences only: "no difference shown" does not mean that there is none."""


def summary(
    results: pd.DataFrame, failures: Sequence[Mapping[str, Any]], study: StudyTuning, parameters: Mapping[str, Any]
) -> str:
    """The page in Markdown: conclusion, how to take the setting, numbers, failures, limits."""
    settings = settings_of(results, study)
    own, best = own_setting(parameters, study.space), best_of(settings)
    chosen = own if best is None else from_text(best)
    parts = [
        "# Search for training parameters",
        conclusion(results, study, settings, unchanged=chosen == own),
        "## The setting",
        _beside(own, chosen),
        *_taking(own, chosen),
        *_edges(chosen, study.space),
        f"## Validation {metric_name(study.metric)}",
        _leaders(results, settings, study),
        "## Set-up",
        _set_up(results, settings, study, parameters),
        command("tuning", parameters),
        *failed(failures),
        "## What this cannot say",
        LIMITS.format(settings=len(settings)),
    ]
    return "\n\n".join(parts) + "\n"


def conclusion(results: pd.DataFrame, study: StudyTuning, settings: pd.DataFrame, *, unchanged: bool) -> str:
    """One paragraph: what was found on validation, and what the test images say of it."""
    name = metric_name(study.metric)
    if settings.empty:
        return "No setting ended well under all seeds, so nothing can be said."
    test = values_of(results, study.metric).pivot_table(index="seed", columns="method", values="value")
    if unchanged:
        told = f"None of the {len(settings)} settings is better on validation than that of the configuration: keep it."
        return f"{told} On the test images it has {_mean(test, OWN)}."
    found = (
        f"Of {len(settings)} settings, the one below has the highest mean validation {name}, "
        f"{settings['mean'].max():.3f}{_own_mean(settings)}."
    )
    if not {OWN, CHOSEN} <= set(test.columns):
        return f"{found} It is not compared on the test images, since trials failed there."
    difference, seeds = paired_difference(test[CHOSEN], test[OWN])
    against = f"On the test images it has {_mean(test, CHOSEN)} against {_mean(test, OWN)} of the configuration"
    return f"{found} {against}: {_verdict(difference, seeds)}"


def _verdict(difference: Interval, seeds: int) -> str:
    told = f"{difference.estimate:+.3f}"
    if seeds < LEAST_SEEDS:
        return f"{told}, with too few seeds ({seeds}) to say more ({LEAST_SEEDS} are needed)."
    told = f"{told} ({difference.low:+.3f} to {difference.high:+.3f}, paired over {seeds} seeds)"
    if difference.high - difference.low < NO_SPREAD:
        return f"{told}, without any spread: no difference shown."
    if difference.low > 0:
        return f"{told}: it is shown to be better."
    if difference.high < 0:
        return f"{told}: it is shown to be **worse**, so keep the configuration's."
    return f"{told}: no difference shown. Keep the configuration's unless the new setting is cheaper."


def _own_mean(settings: pd.DataFrame) -> str:
    own = settings.loc[settings["method"] == OWN, "mean"]
    return "" if own.empty else f" (that of the configuration: {own.iloc[0]:.3f})"


def _mean(test: pd.DataFrame, method: str) -> str:
    found = t_interval(test[method].dropna().to_numpy(float) if method in test.columns else ())
    return "no value" if math.isnan(found.estimate) else _in_words(found)


def _in_words(found: Interval) -> str:
    """A mean with its interval, cut where no metric can be."""
    return f"{found.estimate:.3f} ({ends(max(found.low, -1), min(found.high, 1))})"


def _beside(own: Mapping[str, Value], chosen: Mapping[str, Value]) -> str:
    lines = ["| parameter | configuration | best on validation |", "|---|---|---|"]
    return "\n".join([*lines, *(f"| `{name}` | {own[name]} | {value} |" for name, value in chosen.items())])


def _taking(own: Mapping[str, Value], chosen: Mapping[str, Value]) -> list[str]:
    if chosen == own:
        return []
    block = yaml.safe_dump(nested(chosen), sort_keys=False, allow_unicode=True)
    return ["To take it, write into `conf/local/parameters.yml`:", f"```yaml\n{block}```"]


def _edges(chosen: Mapping[str, Value], space: Mapping[str, Axis]) -> list[str]:
    """Say which values lie at an end of their range."""
    near = [name for name, axis in space.items() if _at_edge(chosen[name], axis)]
    if not near:
        return []
    names = ", ".join(f"`{name}`" for name in near)
    return [f"At an end of its range: {names}. A better value may lie beyond: widen it in `study_tuning.space`."]


def _at_edge(value: Value, axis: Axis) -> bool:
    if axis.low is None or axis.high is None or not isinstance(value, int | float) or value <= 0 < axis.log:
        return False
    low, at, high = (math.log(each) if axis.log else each for each in (axis.low, value, axis.high))
    return min(at - low, high - at) < EDGE * (high - low)


def _leaders(results: pd.DataFrame, settings: pd.DataFrame, study: StudyTuning) -> str:
    """The best settings and the configuration's own, with intervals over seeds."""
    ranked = settings.sort_values("mean", ascending=False, kind="stable")
    shown = pd.concat([ranked.head(SHOWN_SETTINGS), ranked[ranked["method"] == OWN]]).drop_duplicates()
    values = values_of(results, f"val_{study.metric}")
    which = "All settings" if len(shown) == len(ranked) else f"The {SHOWN_SETTINGS} best and the configuration's own"
    lines = [
        f"{which}: mean over seeds (95 % interval), seconds of training.",
        "",
        "| setting | mean | seconds |",
        "|---|---|---|",
    ]
    for method, setting in shown[["method", "setting"]].itertuples(index=False, name=None):
        mine = values[(values["method"] == method) & (values["setting"] == setting)]
        found = t_interval(mine["value"].to_numpy(float))
        own = " (configuration)" if method == OWN else ""
        lines.append(f"| `{setting}`{own} | {_in_words(found)} | {in_words(mine['seconds'].mean())} |")
    return "\n".join(lines)


def _set_up(results: pd.DataFrame, settings: pd.DataFrame, study: StudyTuning, parameters: Mapping[str, Any]) -> str:
    trials = results.loc[results["metric"] != FAILED, "trial_id"].nunique()
    told = on_what(trials, parameters, source=study.source, image_size=study.image_size)
    judged, tested = (_images(results, name) for name in (f"val_{study.metric}", study.metric))
    return (
        f"{told} {len(settings)} settings under the seeds {study.seeds}, "
        f"{judged} validation images each; two settings on {tested} test images. Sampler: TPE of Optuna, seed "
        f"{study.sampler_seed}, after {study.random_trials} settings that it learned nothing from. Intervals: "
        "Student's t over seeds."
    )


def _images(results: pd.DataFrame, metric: str) -> str:
    counts = sorted(set(results.loc[results["metric"] == metric, "n"].tolist()))
    return " to ".join(str(count) for count in dict.fromkeys([counts[0], counts[-1]])) if counts else "no"
