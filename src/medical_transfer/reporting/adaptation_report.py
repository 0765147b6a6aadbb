"""The page of adaptation: what was chosen without labels, what speaks against it, and what labels say of it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import pandas as pd

from medical_transfer.config.adaptation import SOURCE_SCORES, TARGET_SCORES
from medical_transfer.reporting.adaptation_before_after import recall_table
from medical_transfer.reporting.adaptation_figure import method_name
from medical_transfer.reporting.embedding import embed_pictures
from medical_transfer.reporting.pages import environment_of_pages
from medical_transfer.reporting.units import decimal_text, missing, writable

PLAIN = "source_only"
TOLD_APART = 1.0
"""A-distance from which on the sites are called told apart: three of four images of either site."""


@dataclass(frozen=True)
class Compared:
    """What the page is made from.

    Attributes:
        evaluation: content of `adapted_evaluation.json`.
        choice: what is said without labels, content of `adaptation_choice.json`.
        invariance: method -> proxy A-distance of the sites' features.
        no_oracle: why no model was trained on the second site's labels; None where one was.
        left_out: simple mean -> why it is not possible here.
        beside: the method that is shown beside no adaptation.
        seed: of the run.
    """

    evaluation: Mapping[str, Any]
    choice: Mapping[str, Any]
    invariance: Mapping[str, float]
    no_oracle: str | None
    left_out: Mapping[str, str]
    beside: str
    seed: int

    @property
    def shown(self) -> tuple[str, str]:
        """No adaptation, and the method beside it."""
        return PLAIN, self.beside

    @property
    def labelled(self) -> bool:
        """Whether labels of the second site say anything."""
        return self.evaluation["best_by_labels"] is not None


def render_adaptation(compared: Compared, figures: Mapping[str, bytes]) -> str:
    """The page as HTML text; `figures` by their places: methods, planes and, with labels, recall and reliability."""
    found = compared.evaluation["methods"]
    before, after = found[PLAIN]["about"], found[compared.beside]["about"]
    words = {
        "sentences": sentences(compared),
        "alarms": {method_name(name): reasons for name, reasons in compared.choice["alarms"].items() if reasons},
        "left_out": {method_name(name): reason for name, reason in compared.left_out.items()},
        "labelled": labelled_table(compared),
        "unlabelled": unlabelled_table(compared),
        "choices": choices_table(compared) if compared.labelled else None,
        "recall": recall_table(before, after, method_name(compared.beside)) if compared.labelled else None,
        "beside": method_name(compared.beside),
        "chosen": compared.beside == compared.choice["chosen"],
        "errors": {method_name(name): _interval(found[name]["test"]["ece"]) for name in compared.shown},
        "warnings": compared.evaluation["about"]["warnings"],
        "pictures": embed_pictures(figures),
        "seed": compared.seed,
        "images": compared.choice["images"],
    }
    return writable(environment_of_pages().get_template("adapted_report.html.jinja").render(**words))


def sentences(compared: Compared) -> list[str]:
    """What a reader should know, in order."""
    said = _without_labels(compared)
    if not compared.labelled:
        why = f" ({compared.no_oracle})" if compared.no_oracle is not None else ""
        return [
            *said,
            f"The second site's test images lack labels{why}: nothing here says whether the choice is right.",
        ]
    return said + _with_labels(compared)


def _without_labels(compared: Compared) -> list[str]:
    choice = compared.choice
    chosen, by = choice["chosen"], _score_name(choice["by"])
    said = [
        f"Without a label of the second site, {method_name(chosen)} was chosen, by {by} on {choice['images']} images."
    ]
    if reasons := choice["alarms"][chosen]:
        said.append(f"Alarm: {'; '.join(reasons)}. Do not use it without labels from there.")
    others = [reasons for name, reasons in choice["alarms"].items() if name != PLAIN]
    if others and all(others):
        said.append("Every other way raised an alarm: nothing here shows that adaptation works between these sites.")
    if chosen != PLAIN and _told_apart(apart := compared.invariance[chosen]):
        said.append(
            f"The chosen model's features still tell the sites apart ({apart:.2f} of 2), so what it does well at home "
            "says little about the second site."
        )
    if _told_apart(apart := compared.invariance[PLAIN]):
        # Without overlap labels of one site bound no error at the other (Ben-David et al. 2010).
        said.append(
            f"Alarm about the sites: without adaptation features tell them apart ({apart:.2f} of 2), so no score "
            "without labels can vouch for any choice; what makes such sites alike may mix up the classes. Have images "
            "from there labelled before anything is used."
        )
    return said


def _told_apart(distance: float) -> bool:
    return not missing(distance) and distance >= TOLD_APART


def _with_labels(compared: Compared) -> list[str]:
    choice, evaluation = compared.choice, compared.evaluation
    best, gap, found = evaluation["best_by_labels"], evaluation["gap"], evaluation["methods"]
    row, plain = found[choice["chosen"]]["test"]["auroc"], found[PLAIN]["test"]["auroc"]
    said = [f"On its labelled test images the chosen model reaches an AUROC of {_interval(row)}."]
    if choice["chosen"] != PLAIN:
        verb = "worse than" if row["estimate"] < plain["estimate"] else "no worse than"
        said.append(f"That is {verb} no adaptation, {_interval(plain)}.")
    if gap is not None:
        said.append(f"With labels {method_name(best)} would have been taken; choosing without them cost {gap:.3f}.")
    if compared.no_oracle is not None:
        return [*said, f"There is no bound from the target's own labels: {compared.no_oracle}."]
    bound = _interval(found["target_oracle"]["test"]["auroc"])
    return [*said, f"A model trained on the target's labels reaches {bound}."]


def labelled_table(compared: Compared) -> pd.DataFrame:
    """Test metrics of each method on the second site, and how far it came from no adaptation to the bound."""
    rows = []
    for name, found in compared.evaluation["methods"].items():
        test = found["test"]
        rows.append(
            {
                "Method": method_name(name),
                "AUROC": _interval(test["auroc"]),
                "Recovered": _recovered(compared, name),
                "Balanced accuracy": _interval(test["balanced_accuracy"]),
                "Calibration error": _interval(test["ece"]),
                "Images": str(test["auroc"]["n"]),
            }
        )
    return pd.DataFrame(rows)


def _recovered(compared: Compared, name: str) -> str:
    """Share of the way in AUROC from no adaptation to the target-trained bound; empty where there is no such way."""
    found = compared.evaluation["methods"]
    if name in {PLAIN, "target_oracle"} or "target_oracle" not in found:
        return ""
    plain, bound, value = (found[each]["test"]["auroc"]["estimate"] for each in (PLAIN, "target_oracle", name))
    if any(missing(each) for each in (plain, bound, value)) or bound <= plain:
        return ""
    return f"{100 * (value - plain) / (bound - plain):+.0f} %"


def choices_table(compared: Compared) -> pd.DataFrame:
    """What each score would have chosen, and what that costs against the choice by labels."""
    rows = [
        {
            "Chosen by": f"{_score_name(score)}{' (this run)' if score == compared.choice['by'] else ''}",
            "Method": method_name(told["chosen"]),
            "AUROC": decimal_text(told["auroc"]),
            "Cost": decimal_text(told["gap"]),
        }
        for score, told in compared.evaluation["choices"].items()
    ]
    best = compared.evaluation["best_by_labels"]
    auroc = compared.evaluation["methods"][best]["test"]["auroc"]["estimate"]
    rows.append({"Chosen by": "labels", "Method": method_name(best), "AUROC": decimal_text(auroc), "Cost": "0.000"})
    return pd.DataFrame(rows)


def unlabelled_table(compared: Compared) -> pd.DataFrame:
    """What can be said of each method without labels of the second site."""
    choice, rows = compared.choice, []
    for name, scores in choice["scores"].items():
        called = ", ".join(f"{label} {share:.0%}" for label, share in choice["called"][name].items())
        told = {_capital(_score_name(score)): decimal_text(value) for score, value in scores.items()}
        told["Sites told apart (0 to 2)"] = decimal_text(compared.invariance[name])
        rows.append({"Method": method_name(name), **told, "Calls": called})
    return pd.DataFrame(rows)


def _score_name(short: str) -> str:
    return {**TARGET_SCORES, **SOURCE_SCORES}[short].replace("_", " ").replace("auroc", "AUROC")


def _capital(text: str) -> str:
    return f"{text[:1].upper()}{text[1:]}"


def _interval(row: Mapping[str, Any]) -> str:
    if missing(row["estimate"]):
        return "not defined"
    ends = "" if missing(row["low"]) else f" ({row['low']:.3f}-{row['high']:.3f})"
    return f"{row['estimate']:.3f}{ends}"
