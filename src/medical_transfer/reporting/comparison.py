"""The page of a comparison: which of two models is better on the same test images, and whether it could be chance."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

import pandas as pd

from medical_transfer.reporting.pages import environment_of_pages
from medical_transfer.reporting.units import (
    METRICS,
    count_text,
    decimal_text,
    interval_text,
    metric_name,
    missing,
    percent_text,
    writable,
)

LESS_IS_BETTER: Final = ("brier", "log_loss", "ece")
NEITHER: Final = ("calibration_slope", "calibration_intercept")
"""These have a best value in between: a difference has no better side."""


def render_comparison(comparison: Mapping[str, Any]) -> str:
    """The page as HTML text.

    Args:
        comparison: the content of `comparison.json`.
    """
    words = {
        "sentences": sentences(comparison),
        "table_of_differences": differences_table(comparison),
        "facts": facts_table(comparison),
        "comparison": comparison,
    }
    return writable(environment_of_pages().get_template("comparison.html.jinja").render(**words))


def sentences(comparison: Mapping[str, Any]) -> list[str]:
    """What a reader should know, in order."""
    images, groups = count_text(comparison["images"]), count_text(comparison["groups"])
    said = [f"Both models were asked about the same {images} {comparison['split']} images in {groups} groups."]
    said += [_verdict(comparison, metric) for metric in ("auroc", "balanced_accuracy")]
    if comparison["delong"] is not None and not missing(comparison["delong"]["p"]):
        told = comparison["delong"]
        said.append(
            f"DeLong's test, which draws nothing and counts groups, gives a difference in AUROC of {_signed(told)}, "
            f"p = {_p_text(told['p'])}."
        )
    said.append(f"They decide {percent_text(comparison['agreement'])} of the images alike.")
    return said


def _verdict(comparison: Mapping[str, Any], metric: str) -> str:
    pair = comparison["metrics"][metric]
    name, difference = metric_name(metric), pair["difference"]
    if missing(difference["estimate"]):
        return f"{name} is not defined on these images."
    values = f"{decimal_text(pair['second']['estimate'])} of b against {decimal_text(pair['first']['estimate'])} of a"
    if missing(difference["low"]):
        return f"{name}: {values}; there is no interval of the difference."
    if difference["low"] > 0 or difference["high"] < 0:
        better = "b" if difference["estimate"] > 0 else "a"
        return f"{name}: {values}. The difference {_signed(difference)} is more than chance: {better} is better here."
    return f"{name}: {values}. The difference {_signed(difference)} may be chance: these images do not tell them apart."


def _signed(row: Mapping[str, Any]) -> str:
    """'+0.012 (-0.003 to +0.027)'."""
    if missing(row["low"]):
        return f"{row['estimate']:+.3f}"
    return f"{row['estimate']:+.3f} ({row['low']:+.3f} to {row['high']:+.3f})"


def _p_text(p: float) -> str:
    return "below 0.001" if p < 0.001 else f"{p:.3f}"


def differences_table(comparison: Mapping[str, Any]) -> pd.DataFrame:
    """One row per metric: both models, b minus a, and which is better for certain."""
    known = list(METRICS)
    names = sorted(comparison["metrics"], key=lambda name: known.index(name) if name in known else len(known))
    rows = []
    for name in names:
        pair = comparison["metrics"][name]
        difference = pair["difference"]
        told = "not defined" if missing(difference["estimate"]) else _signed(difference)
        rows.append(
            [
                metric_name(name),
                interval_text(pair["first"]),
                interval_text(pair["second"]),
                told,
                _better(name, difference),
            ]
        )
    return pd.DataFrame(rows, columns=["Metric", "a", "b", "b minus a", "Better"])


def _better(metric: str, difference: Mapping[str, Any]) -> str:
    if missing(difference["low"]) or metric in NEITHER or difference["low"] <= 0 <= difference["high"]:
        return "–"
    risen = difference["low"] > 0
    return "b" if risen != (metric in LESS_IS_BETTER) else "a"


def facts_table(comparison: Mapping[str, Any]) -> pd.DataFrame:
    """What is known of both models."""
    sides = (comparison["a"], comparison["b"])
    names = list(dict.fromkeys(name for side in sides for name in side))
    rows = [[name.replace("_", " ").capitalize(), *(_fact(side.get(name)) for side in sides)] for name in names]
    return pd.DataFrame(rows, columns=["", "a", "b"])


def _fact(value: Any) -> str:
    if missing(value):
        return "–"
    return f"{value:.4g}" if isinstance(value, float) else str(value)
