"""The page of explanations: what fails a test first, then the images under their maps, and both tests."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import pandas as pd

from medical_transfer.reporting.embedding import Embedded, embed_pictures
from medical_transfer.reporting.explained_names import KINDS, LEVELS, METHODS, ORDERS
from medical_transfer.reporting.explained_pictures import Strip
from medical_transfer.reporting.pages import environment_of_pages
from medical_transfer.reporting.tables import texts_table
from medical_transfer.reporting.units import NOT_DEFINED, decimal_text, interval_text, writable

VERDICTS = {"changes": "changes, as it must", "stays": "STAYS: do not trust it", "unclear": "not clear"}


@dataclass(frozen=True)
class Shown:
    """One explained image on the page."""

    drawn: Embedded
    caption: str
    alt: str


def render_explanations(
    told: Mapping[str, Any],
    shown: pd.DataFrame,
    pictures: Sequence[Strip],
    figures: Mapping[str, bytes],
    card: Mapping[str, Any],
    model_key: str,
) -> str:
    """The page as HTML text.

    Args:
        told: content of `explanations.json`.
        shown: rows of the shown images: `label, said, confidence, right`.
        pictures: a strip for each of them.
        figures: PNG of `sanity` and `curves`.
        card: content of `model.json`.
        model_key: name of the model's folder.
    """
    drawn = embed_pictures({**figures, **{f"strip{n}": strip.png() for n, strip in enumerate(pictures)}})
    words = {
        "told": told,
        "card": card,
        "model_key": model_key,
        "cells": cells(shown, pictures, [drawn[f"strip{number}"] for number in range(len(pictures))]),
        "panels": pictures[0].panels if pictures else (),
        "figures": {name: drawn[name] for name in figures},
        "sanity": sanity_table(told),
        "leads": leads_table(told),
    }
    return writable(environment_of_pages().get_template("explanations.html.jinja").render(**words))


def cells(shown: pd.DataFrame, pictures: Sequence[Strip], drawn: Sequence[Embedded]) -> dict[str, list[Shown]]:
    """Headline of each class, wrong and right -> its images."""
    found: dict[str, list[Shown]] = {}
    for row, strip, picture in zip(shown.to_dict("records"), pictures, drawn, strict=True):
        head = f"{row['label']}, decided {'rightly' if row['right'] else 'wrongly'}"
        caption = f"Is {row['label']}, said {row['said']} ({row['confidence']:.2f})"
        found.setdefault(head, []).append(Shown(picture, caption, f"{caption}. Panels: {', '.join(strip.panels)}."))
    return found


def sanity_table(told: Mapping[str, Any]) -> pd.DataFrame:
    """How far maps stay the same under random weights, with a row of other images to compare with."""
    rows = []
    for method, facts in _working(told).items():
        for level, row in facts["sanity"].items():
            mean, spread = interval_text(row["mean"]), NOT_DEFINED
            if row["mean"] is not None:
                spread = f"{decimal_text(row['low_spread'])} to {decimal_text(row['high_spread'])}"
            rows.append((METHODS[method], LEVELS[level], mean, spread, VERDICTS[row["verdict"]]))
        rows.append((METHODS[method], "other images", decimal_text(facts["between_images"]), "", "for comparison"))
    return texts_table(rows, ["Method", "Against", "Rank correlation", "80 % of all", "The map"])


def leads_table(told: Mapping[str, Any]) -> pd.DataFrame:
    """Areas under the curves, and the lead of the map's order over each rival's."""
    rows = []
    for method, facts in _working(told).items():
        for kind, row in facts["rivals"].items():
            for who, lead in row["lead"].items():
                areas = [decimal_text(row["areas"][each]) for each in ("map", who)]
                name = f"{METHODS[method]}, {KINDS[kind].split(':')[0].lower()}"
                rows.append((name, ORDERS[who], *areas, interval_text(lead), _verdict(lead)))
    return texts_table(rows, ["Method", "Rival", "Area, map", "Area, rival", "Lead of the map", "The map is"])


def _verdict(lead: Mapping[str, Any]) -> str:
    if lead["low"] > 0:
        return "better"
    return "worse" if lead["high"] < 0 else "not shown to differ"


def _working(told: Mapping[str, Any]) -> dict[str, Any]:
    return {name: facts for name, facts in told["methods"].items() if facts["reason"] is None}
