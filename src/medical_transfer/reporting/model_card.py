"""The model card: what a model is for, what it learned from, how well it does and for whom, and under which licences.

Source: Mitchell et al. (2019), 'Model cards for model reporting', whose order of sections it follows.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import pandas as pd

from medical_transfer.reporting.content import ReportContent
from medical_transfer.reporting.evidence_tables import (
    per_class_table,
    predictive_table,
    shortcuts_table,
    subgroups_table,
)
from medical_transfer.reporting.evidence_words import (
    evidence_cautions,
    reads_sentence,
    worst_group_sentences,
    worth_sentence,
)
from medical_transfer.reporting.licences import licences_with_flags
from medical_transfer.reporting.measured import Measured
from medical_transfer.reporting.summary import cautions, summary_sentences
from medical_transfer.reporting.tables import metrics_table, splits_table
from medical_transfer.reporting.units import missing, writable

FOR_THE_AUTHORS = "*For the authors:*"


def model_card_text(content: ReportContent) -> str:
    """The card as Markdown."""
    parts = [
        [f"# {_plain(content.title)}", "", "Not a medical device; not for clinical use without local validation."],
        _section("Model", _facts(content)),
        _section("Licences", _licences(content.model_card)),
        _section("Intended use", [f"{FOR_THE_AUTHORS} purpose, users and patients; uses that are out of scope."]),
        _section("In plain words", [f"- {_plain(sentence)}" for sentence in _summary(content)]),
        _section("Data", [*_table(splits_table(content.leakage)), "", _plain(reads_sentence(content.test_reads))]),
        _section("Results", _table(metrics_table(content.evaluation))),
        *([_section("For whom it works", _groups(content.evidence))] if content.evidence else []),
        *([_section("Shortcuts", _table(shortcuts_table(content.shortcuts)))] if content.shortcuts else []),
        _section("What to be careful about", [f"- {_plain(sentence)}" for sentence in _cautions(content)]),
        _section("Limits", [f"- {_plain(sentence)}" for sentence in content.limits]),
        _section(
            "Ethical considerations", [f"{FOR_THE_AUTHORS} approval, consent, harms of errors in either direction."]
        ),
    ]
    return writable("\n\n".join("\n".join(lines) for lines in parts) + "\n")


def _section(title: str, lines: Iterable[str]) -> list[str]:
    return [f"## {title}", "", *lines]


def _facts(content: ReportContent) -> list[str]:
    card, provenance = content.model_card, content.provenance
    facts = {
        "Method": card.get("kind"),
        "Architecture": card.get("architecture"),
        "Source": f"{card.get('source')} ({card.get('source_domain', 'domain not told')})",
        "Classes": ", ".join(map(str, card.get("classes", ()))),
        "Positive class": card.get("positive_class"),
        "Size of images": f"{card['size']} px" if card.get("size") else None,
        "Temperature": card.get("temperature"),
        "Decision threshold": card.get("threshold"),
        "Checksum of the tensors (sha256)": card.get("sha256"),
        "Split hash": card.get("split_hash"),
        "Data fingerprint": card.get("data_fingerprint"),
        "Code (git)": provenance.git_sha,
        "Made": f"{provenance.created}, seed {provenance.seed}, `{provenance.command}`",
    }
    known = {name: value for name, value in facts.items() if not missing(value) and value != ""}
    return [
        f"- {name}: {_plain(f'{value:.4g}' if isinstance(value, float) else value)}" for name, value in known.items()
    ]


def _licences(card: Mapping[str, Any]) -> list[str]:
    rows = licences_with_flags(card)
    lines = [f"- {_plain(what)}: {_plain(text)}{f' **{flag}**' if flag else ''}" for what, text, flag in rows]
    if any("non-commercial" in flag for _, _, flag in rows):
        lines.append("- **A non-commercial licence holds for this model as a whole.**")
    return lines or ["- not told"]


def _summary(content: ReportContent) -> list[str]:
    measured = Measured(content.evaluation)
    leakage, compared = content.leakage, content.transferability
    return summary_sentences(measured=measured, leakage=leakage, transferability=compared, card=content.model_card)


def _cautions(content: ReportContent) -> list[str]:
    measured = Measured(content.evaluation)
    first = evidence_cautions(content.evidence, content.shortcuts, content.test_reads)
    told = cautions(measured=measured, leakage=content.leakage, transferability=content.transferability)
    return [*first, *told] or ["This run raised no warning of its own; the limits hold nonetheless."]


def _groups(evidence: Mapping[str, Any]) -> list[str]:
    lines = _table(per_class_table(evidence["per_class"]))
    subgroups = evidence["subgroups"]
    lines += ["", *(_plain(sentence) for sentence in worst_group_sentences(subgroups)), ""]
    if subgroups["levels"]:
        lines += _table(subgroups_table(subgroups))
    lines += ["", _plain(worth_sentence(evidence["decision_curve"])), ""]
    return lines + (_table(predictive_table(evidence["predictive_values"])) if evidence["predictive_values"] else [])


def _table(frame: pd.DataFrame) -> list[str]:
    rows = [list(frame.columns), ["---"] * len(frame.columns), *frame.itertuples(index=False, name=None)]
    return ["| " + " | ".join(_plain(cell) for cell in row) + " |" for row in rows]


def _plain(value: Any) -> str:
    """Text of users in Markdown: on one line, no element of HTML, no cell that ends early."""
    return " ".join(str(value).split()).replace("|", "\\|").replace("<", "&lt;")
