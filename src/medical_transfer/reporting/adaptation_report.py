"""The page of adaptation: what was chosen without labels, what speaks against it, and what labels say of it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import pandas as pd

from medical_transfer.config.adaptation import TARGET_SCORES
from medical_transfer.reporting.adaptation_figure import NAMES
from medical_transfer.reporting.embedding import embed_pictures
from medical_transfer.reporting.pages import environment_of_pages
from medical_transfer.reporting.units import decimal_text, missing, writable


@dataclass(frozen=True)
class Compared:
    """What the page is made from.

    Attributes:
        evaluation: content of `adapted_evaluation.json`.
        choice: what is said without labels, content of `adaptation_choice.json`.
        invariance: method -> proxy A-distance of the sites' features.
        no_oracle: why no model was trained on the second site's labels; None where one was.
        seed: of the run.
    """

    evaluation: Mapping[str, Any]
    choice: Mapping[str, Any]
    invariance: Mapping[str, float]
    no_oracle: str | None
    seed: int


def render_adaptation(compared: Compared, figure: bytes) -> str:
    """The page as HTML text."""
    pictures = embed_pictures({"methods": figure})
    words = {
        "sentences": sentences(compared),
        "alarms": {NAMES.get(name, name): reasons for name, reasons in compared.choice["alarms"].items() if reasons},
        "labelled": labelled_table(compared),
        "unlabelled": unlabelled_table(compared),
        "warnings": compared.evaluation["about"]["warnings"],
        "picture": pictures["methods"],
        "seed": compared.seed,
        "images": compared.choice["images"],
    }
    return writable(environment_of_pages().get_template("adapted_report.html.jinja").render(**words))


def sentences(compared: Compared) -> list[str]:
    """What a reader should know, in order."""
    choice, evaluation = compared.choice, compared.evaluation
    chosen, best, gap = NAMES.get(choice["chosen"], choice["chosen"]), evaluation["best_by_labels"], evaluation["gap"]
    by, images = _score_name(choice["by"]), choice["images"]
    said = [f"Without a label of the second site, {chosen} was chosen, by {by} on {images} images."]
    if reasons := choice["alarms"][choice["chosen"]]:
        said.append(f"Alarm: {'; '.join(reasons)}. Do not use it without labels from there.")
    if best is None:
        why = f" ({compared.no_oracle})" if compared.no_oracle is not None else ""
        return [
            *said,
            f"The second site's test images lack labels{why}: nothing here says whether the choice is right.",
        ]
    found, plain = evaluation["methods"], evaluation["methods"]["source_only"]["test"]["auroc"]
    row = found[choice["chosen"]]["test"]["auroc"]
    said.append(f"On its labelled test images the chosen model reaches an AUROC of {_interval(row)}.")
    if choice["chosen"] != "source_only":
        verb = "worse than" if row["estimate"] < plain["estimate"] else "no worse than"
        said.append(f"That is {verb} no adaptation, {_interval(plain)}.")
    if gap is not None:
        said.append(f"With labels {NAMES.get(best, best)} would have been taken; choosing without them cost {gap:.3f}.")
    if compared.no_oracle is not None:
        return [*said, f"There is no bound from the target's own labels: {compared.no_oracle}."]
    bound = _interval(found["target_oracle"]["test"]["auroc"])
    return [*said, f"A model trained on the target's labels reaches {bound}."]


def labelled_table(compared: Compared) -> pd.DataFrame:
    """Test metrics of each method on the second site."""
    rows = []
    for name, found in compared.evaluation["methods"].items():
        test = found["test"]
        rows.append(
            {
                "Method": NAMES.get(name, name),
                "AUROC": _interval(test["auroc"]),
                "Balanced accuracy": _interval(test["balanced_accuracy"]),
                "Calibration error": _interval(test["ece"]),
                "Images": str(test["auroc"]["n"]),
            }
        )
    return pd.DataFrame(rows)


def unlabelled_table(compared: Compared) -> pd.DataFrame:
    """What can be said of each method without labels."""
    choice, rows = compared.choice, []
    for name, scores in choice["scores"].items():
        called = ", ".join(f"{label} {share:.0%}" for label, share in choice["called"][name].items())
        told = {_score_name(score).capitalize(): decimal_text(value) for score, value in scores.items()}
        told["Sites told apart (0 to 2)"] = decimal_text(compared.invariance[name])
        rows.append({"Method": NAMES.get(name, name), **told, "Calls": called})
    return pd.DataFrame(rows)


def _score_name(short: str) -> str:
    return TARGET_SCORES[short].replace("_", " ")


def _interval(row: Mapping[str, Any]) -> str:
    if missing(row["estimate"]):
        return "not defined"
    ends = "" if missing(row["low"]) else f" ({row['low']:.3f}-{row['high']:.3f})"
    return f"{row['estimate']:.3f}{ends}"
