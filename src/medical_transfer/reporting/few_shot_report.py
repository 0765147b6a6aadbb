"""The page of few-shot classification: what a few images gave, and how far other draws of them would differ."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pandas as pd

from medical_transfer.reporting.pages import environment_of_pages
from medical_transfer.reporting.units import missing, writable

NAMES = {
    "nearest_centroid": "nearest centroid",
    "linear_probe": "linear probe",
    "fine_tune": "fine-tuning of a hidden layer",
}
"""Baselines as people call them."""
FEW_EPISODES = 600


def render_few_shot(evaluation: Mapping[str, Any], *, shots: int, queries: int, seed: int) -> str:
    """The page as HTML text, from the content of `few_shot_evaluation.json`."""
    words = {
        "sentences": sentences(evaluation, shots=shots),
        "episodes": episodes_table(evaluation),
        "metrics": metrics_table(evaluation),
        "warnings": evaluation["about"]["warnings"],
        "shots": shots,
        "queries": queries,
        "seed": seed,
    }
    return writable(environment_of_pages().get_template("few_shot_report.html.jinja").render(**words))


def sentences(evaluation: Mapping[str, Any], *, shots: int) -> list[str]:
    """What a reader should know, in order."""
    kind, test = evaluation["classifier"], evaluation["episodes"]["test"]
    best = max(test, key=lambda name: -1 if missing(test[name]["estimate"]) else test[name]["estimate"])
    said = [
        f"From {shots} images of each class, the {NAMES[kind]} on frozen features is right on "
        f"{_interval(test[kind])} of test images, over {test[kind]['n']} episodes.",
        "The interval says how far that mean is known, not how far one draw of images is from another: the saved "
        f"classifier is one draw, and its accuracy on all test images is {_interval(evaluation['test']['accuracy'])}.",
    ]
    if best != kind:
        said.append(f"On these episodes the {NAMES[best]} is higher, {_interval(test[best])}; it chose nothing.")
    if test[kind]["n"] < FEW_EPISODES:
        said.append(f"These are fewer than {FEW_EPISODES} episodes: take more before comparing methods.")
    return [*said, "Probabilities are not calibrated, and the threshold is one half: so few images allow neither."]


def episodes_table(evaluation: Mapping[str, Any]) -> pd.DataFrame:
    """Accuracy over episodes of each method."""
    over, rows = evaluation["episodes"], []
    for name, row in over["test"].items():
        rows.append(
            {
                "Method": NAMES[name],
                "Test images": _interval(row),
                "Training images": _interval(over["train"][name]),
                "Milliseconds a task": f"{1000 * row['seconds_per_task']:.1f}",
            }
        )
    return pd.DataFrame(rows)


def metrics_table(evaluation: Mapping[str, Any]) -> pd.DataFrame:
    """Metrics of the one classifier on all test images."""
    named = {"auroc": "AUROC", "balanced_accuracy": "Balanced accuracy", "accuracy": "Accuracy"}
    found = [(name, evaluation["test"][key]) for key, name in named.items() if key in evaluation["test"]]
    return pd.DataFrame([{"Metric": name, "Test": _interval(row), "Images": str(row["n"])} for name, row in found])


def _interval(row: Mapping[str, Any]) -> str:
    if missing(row["estimate"]):
        return "not defined"
    ends = "" if missing(row["low"]) else f" ({row['low']:.3f}-{row['high']:.3f})"
    return f"{row['estimate']:.3f}{ends}"
