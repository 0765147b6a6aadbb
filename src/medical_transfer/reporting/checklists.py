"""Reporting checklists filled in from a run: what it knows is answered, the rest is marked as the authors' task."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from typing import Any, Final

import pandas as pd
import yaml

from medical_transfer.reporting.checklist_answers import answers
from medical_transfer.reporting.content import ReportContent
from medical_transfer.reporting.tables import texts_table

NAMES: Final = ("tripod_ai", "claim_2024")
FOR_THE_AUTHORS: Final = "for the authors"
FROM_THE_RUN: Final = "from this run"
IN_PART: Final = "in part from this run, the rest for the authors"


@dataclass(frozen=True, slots=True)
class Checklist:
    """A checklist with its answers; `rows` has the columns Item, Asks, Answer, Who."""

    name: str
    source: str
    rows: pd.DataFrame
    answered: int


@cache
def items_of(name: str) -> Mapping[str, Any]:
    """A checklist as it lies in `templates/<name>.yml`: name, source and items."""
    text = files("medical_transfer.reporting").joinpath(f"templates/{name}.yml").read_text(encoding="utf-8")
    found: Mapping[str, Any] = yaml.safe_load(text)
    return found


def checklists(content: ReportContent) -> list[Checklist]:
    """TRIPOD+AI and CLAIM 2024 with the answers of this run."""
    known = answers(content)
    return [_filled(items_of(name), known) for name in NAMES]


def _filled(checklist: Mapping[str, Any], known: Mapping[str, str]) -> Checklist:
    rows = [_row(item, known) for item in checklist["items"]]
    answered = sum(row[3] != FOR_THE_AUTHORS for row in rows)
    columns = ["Item", "Asks", "Answer", "Who"]
    return Checklist(checklist["name"], checklist["source"], texts_table(rows, columns), answered)


def _row(item: Mapping[str, Any], known: Mapping[str, str]) -> list[str]:
    answer = known.get(item.get("run", ""), "")
    who = FOR_THE_AUTHORS if not answer else IN_PART if item.get("part") else FROM_THE_RUN
    return [item["n"], item["asks"], answer or "–", who]


def checklists_text(content: ReportContent) -> str:
    """Both checklists as one Markdown page, to be completed by hand."""
    lines = [
        "# Reporting checklists",
        "",
        "Filled in where the run knows the answer; items in short words, not in full.",
    ]
    for each in checklists(content):
        lines += ["", f"## {each.name}", "", each.source, "", "| item | asks | answer | who |", "|---|---|---|---|"]
        lines += ["| " + " | ".join(map(_cell, row)) + " |" for row in each.rows.itertuples(index=False, name=None)]
    return "\n".join(lines) + "\n"


def _cell(text: str) -> str:
    """Text of users in a cell of a Markdown table."""
    return " ".join(text.split()).replace("|", "\\|").replace("<", "&lt;")
