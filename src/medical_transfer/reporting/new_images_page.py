"""The page of a prediction: how many images, what was decided, what could not be read, on what the model abstains."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import pandas as pd

from medical_transfer.reporting.pages import environment_of_pages
from medical_transfer.reporting.units import count_text, writable

SHOWN_ROWS = 100
"""So many rows of each table stand on the page; the file has all of them."""
MANY = 3
"""So many times the expected share of abstentions is an alarm."""
BANDS = 10


@dataclass(frozen=True)
class NewImagesFacts:
    """What the page is made from.

    Attributes:
        predictions: content of `predict_predictions.parquet`.
        patients: content of `predict_patients.parquet`.
        images: name of the folder or file of the images.
        model_key: name of the model's folder.
        card: content of `model.json`.
        novelty: score by which the model abstains, or `none`.
        false_abstain: share of images like the validation images on which it may.
    """

    predictions: pd.DataFrame
    patients: pd.DataFrame
    images: str
    model_key: str
    card: Mapping[str, Any]
    novelty: str
    false_abstain: float


def render_new_images(facts: NewImagesFacts) -> str:
    """The page as HTML text."""
    words = {
        "facts": facts,
        "sentences": sentences(facts),
        "counts": decisions_table(facts),
        "bands": bands_table(facts),
        "reasons": reasons_table(facts.predictions),
        "rows": _shown(rows_table(facts)),
        "patients": _shown(patients_table(facts)),
        "total": count_text(len(facts.predictions)),
    }
    return writable(environment_of_pages().get_template("predict_report.html.jinja").render(**words))


def sentences(facts: NewImagesFacts) -> list[str]:
    """What a reader should know, in order."""
    table = facts.predictions
    read, unread = (int((table["status"] == status).sum()) for status in ("ok", "quarantined"))
    said = [
        f"{count_text(len(table))} files were found; {count_text(read)} were read and {count_text(unread)} were not."
    ]
    if facts.novelty == "none":
        return [*said, "Whether they are like the training images was not asked (predict.novelty=none)."]
    known = table["abstained"].dropna()
    if known.empty:
        return said
    share = float(known.mean())
    said.append(
        f"On {int(known.sum())} of {len(known)} ({share:.0%}) the model abstains, since they are unlike its training "
        f"images; of images like its validation images it would be at most {facts.false_abstain:.0%} on average."
    )
    if share > MANY * facts.false_abstain:
        said.append(
            "Alarm: that is far more than expected. These images may come from another device, region or kind of "
            "patient; do not use the other predictions either before the model was validated on labelled images from "
            "here (kedro run --pipeline=validate)."
        )
    return said


def decisions_table(facts: NewImagesFacts) -> pd.DataFrame:
    """How many images of each outcome."""
    table, threshold = facts.predictions, facts.card["threshold"]
    decided = table["decision"] if threshold is not None else table["predicted"].where(~_abstained(table))
    rows = [(f"called {name}", int((decided == name).sum())) for name in facts.card["classes"]]
    rows += [("abstained", int(_abstained(table).sum())), ("not read", int((table["status"] != "ok").sum()))]
    return pd.DataFrame([{"Outcome": name, "Images": count_text(number)} for name, number in rows])


def bands_table(facts: NewImagesFacts) -> pd.DataFrame:
    """How many decided images in each tenth of the positive class's probability; no rows for more than two classes."""
    positive = facts.card["positive_class"]
    if positive is None:
        return pd.DataFrame()
    values = facts.predictions.loc[~_abstained(facts.predictions), f"p_{positive}"].dropna()
    counts = pd.cut(values, bins=[k / BANDS for k in range(BANDS + 1)], include_lowest=True).value_counts(sort=False)
    ends = [f"{k / BANDS:.1f} to {(k + 1) / BANDS:.1f}" for k in range(BANDS)]
    return pd.DataFrame({f"Probability of {positive}": ends, "Images": [count_text(int(n)) for n in counts]})


def reasons_table(predictions: pd.DataFrame) -> pd.DataFrame:
    """Why files were not read, the most frequent reason first, with one example of each."""
    bad = predictions[predictions["status"] != "ok"]
    counts = bad["reason"].value_counts().head(SHOWN_ROWS)
    examples = bad.drop_duplicates("reason").set_index("reason")["path"]
    return pd.DataFrame(
        {
            "Reason": list(counts.index),
            "Files": [count_text(number) for number in counts],
            "For example": [str(examples[reason]) for reason in counts.index],
        }
    )


def rows_table(facts: NewImagesFacts) -> pd.DataFrame:
    """The images as they are shown: the most probable positives first, then what was not read."""
    table, positive = facts.predictions, facts.card["positive_class"]
    by = f"p_{positive or facts.card['classes'][0]}"
    shown = table.sort_values(by, ascending=False, kind="stable", na_position="last").head(SHOWN_ROWS)
    told = pd.DataFrame({"Image": shown["path"].astype(str)})
    for name in facts.card["classes"]:
        told[f"p {name}"] = [_number(value) for value in shown[f"p_{name}"]]
    decided = shown["decision"] if facts.card["threshold"] is not None else shown["predicted"]
    told["Decision"] = ["" if pd.isna(value) else str(value) for value in decided]
    told["Novelty"] = [_number(value) for value in shown["novelty"]]
    told["Remark"] = ["" if pd.isna(value) else str(value) for value in shown["reason"]]
    return told


def patients_table(facts: NewImagesFacts) -> pd.DataFrame:
    """Patients as they are shown; without rows where none is known."""
    patients, classes = facts.patients, facts.card["classes"]
    if patients.empty:
        return pd.DataFrame()
    told = pd.DataFrame({"Patient": patients["group_id"].astype(str), "Images": patients["images"].map(count_text)})
    told["Used"] = patients["used"].map(count_text)
    for name in classes:
        told[f"p {name}"] = [_number(value) for value in patients[f"p_{name}"]]
    decided = patients["decision"] if facts.card["threshold"] is not None else patients["predicted"]
    told["Decision"] = ["" if pd.isna(value) else str(value) for value in decided]
    return told


def _shown(table: pd.DataFrame) -> pd.DataFrame:
    return table.head(SHOWN_ROWS)


def _abstained(table: pd.DataFrame) -> pd.Series[bool]:
    return table["abstained"].fillna(value=False).astype(bool)


def _number(value: float) -> str:
    return "" if pd.isna(value) else f"{value:.3f}"
