"""The page of a validation: a frozen model's numbers on new labelled images, and what an intercept would mend."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pandas as pd

from medical_transfer.reporting.pages import environment_of_pages
from medical_transfer.reporting.units import METRICS, interval_text, metric_meaning, metric_name, writable

PARTS = {
    "test": "All images",
    "answered": "Without those abstained on",
    "patients": "Patients",
    "recalibrated": "With local intercept",
}
"""Part of the evaluation -> its column."""
USELESS_AUROC = 0.5


def render_validation(evaluation: Mapping[str, Any], card: Mapping[str, Any], images: str, model_key: str) -> str:
    """The page as HTML text.

    Args:
        evaluation: content of `validate_evaluation.json`.
        card: content of `model.json`.
        images: name of the folder or file of the images.
        model_key: name of the model's folder.
    """
    words = {
        "card": card,
        "images": images,
        "model_key": model_key,
        "sentences": sentences(evaluation),
        "metrics": metrics_table(evaluation),
        "intercepts": intercepts_table(evaluation),
        "warnings": evaluation["about"]["warnings"],
        "missing": [f"{PARTS[name]}: {why}." for name, why in evaluation["about"]["missing"].items()],
        "confusion": confusion_table(evaluation),
    }
    return writable(environment_of_pages().get_template("validate_report.html.jinja").render(**words))


def sentences(evaluation: Mapping[str, Any]) -> list[str]:
    """What a reader should know, in order."""
    auroc, about = evaluation["test"]["auroc"], evaluation["about"]
    said = [
        f"On {auroc['n']} labelled images in {auroc['groups']} independent groups the frozen model reaches an AUROC of "
        f"{interval_text(auroc)}."
    ]
    if auroc["low"] is not None and auroc["low"] <= USELESS_AUROC:
        said.append("Alarm: the interval holds 0.5, so these images do not show that it does better than a coin here.")
    if about["abstained"]:
        said.append(f"On {about['abstained']} images the model abstains, since they are unlike its training images.")
    before, after = (evaluation[part]["log_loss"] if evaluation[part] else None for part in ("test", "recalibrated"))
    if before and after and None not in (before["estimate"], after["estimate"]):
        verb = "lowers" if after["estimate"] < before["estimate"] else "does not lower"
        said.append(
            f"An intercept fitted to labels from here {verb} the log loss of images that it was not fitted to "
            f"({before['estimate']:.3f} without, {after['estimate']:.3f} with it). It changes no order of images."
        )
    if about["sample_size"]:
        said.append(about["sample_size"])
    return said


def metrics_table(evaluation: Mapping[str, Any]) -> pd.DataFrame:
    """Each metric as 'estimate (low-high)', one column for each part that there is."""
    parts = {name: title for name, title in PARTS.items() if evaluation[name] is not None}
    found = list(evaluation["test"])
    known = list(METRICS)
    order = sorted(found, key=lambda metric: known.index(metric) if metric in known else len(known))
    rows = []
    for metric in order:
        cells = {title: interval_text(evaluation[name].get(metric)) for name, title in parts.items()}
        rows.append({"Metric": metric_name(metric), **cells, "What it says": metric_meaning(metric)})
    sizes = {title: _basis(evaluation[name]["auroc"]) for name, title in parts.items()}
    return pd.DataFrame([{"Metric": "Images or patients (groups)", **sizes, "What it says": ""}, *rows])


def intercepts_table(evaluation: Mapping[str, Any]) -> pd.DataFrame:
    """What to add to the logarithm of each class's probability before they are normalised."""
    intercepts = evaluation["about"]["intercepts"] or {}
    return pd.DataFrame([{"Class": name, "Intercept": f"{value:+.3f}"} for name, value in intercepts.items()])


def confusion_table(evaluation: Mapping[str, Any]) -> pd.DataFrame:
    """True classes in rows, decisions in columns."""
    classes = evaluation["about"]["classes"]
    rows = zip(classes, evaluation["about"]["confusion"], strict=True)
    return pd.DataFrame(
        [
            {"Is": name, **{f"called {called}": str(n) for called, n in zip(classes, row, strict=True)}}
            for name, row in rows
        ]
    )


def _basis(row: Mapping[str, Any]) -> str:
    return f"{row['n']:,} ({row['groups']:,})"
