"""One self-contained page that a clinician can read: no script, no outside resource, every name of a user escaped."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

import pandas as pd

from medical_transfer.reporting.checklists import checklists
from medical_transfer.reporting.content import Provenance, ReportContent
from medical_transfer.reporting.embedding import embed_pictures
from medical_transfer.reporting.evidence_tables import (
    per_class_table,
    predictive_table,
    quarantine_table,
    shortcuts_table,
    subgroups_table,
)
from medical_transfer.reporting.evidence_words import (
    evidence_cautions,
    reads_sentence,
    shortcut_alarms,
    worst_group_sentences,
    worth_sentence,
)
from medical_transfer.reporting.licences import licences_with_flags
from medical_transfer.reporting.measured import Measured
from medical_transfer.reporting.pages import environment_of_pages
from medical_transfer.reporting.summary import cautions, headline_cards, summary_sentences
from medical_transfer.reporting.tables import (
    agreement_table,
    groups_table,
    metrics_table,
    parameters_table,
    quarantine_counts,
    ranking_table,
    splits_table,
    timing_table,
)
from medical_transfer.reporting.units import count_text, decimal_text, missing, writable

__all__ = ["Provenance", "ReportContent", "render_report"]

QUARANTINE_ROWS_SHOWN: Final = 50

FIGURE_TEXTS: Final = {
    "split": "What each split holds. A group is in one split only.",
    "pairs": "Pairs of images that were kept in one group, and pairs that the pixel check let apart.",
    "ranking": "Every score of every source; dots farther right are better; the dark one is the source that was built.",
    "augmentation": "What the network sees in training: each original at the left, its augmented views beside it.",
    "training": "Loss, validation AUROC (of the first site) and learning rate over the epochs of all phases. In “head” "
    "the new last part learns alone, in “trunk” all that may; in “thaw_1”, “thaw_2” and so on ever more of it, from "
    "the top.",
    "confusion": "Decisions against true classes: counts, and percent of the true class.",
    "roc": "Sensitivity against false positive rate over all thresholds.",
    "precision_recall": "Precision against recall; the dotted lines are the prevalences.",
    "reliability": "Stated against observed frequency; bars are 95 % intervals of a bin, images taken as independent.",
    "decision_curve": "Net benefit of acting on the model's word over the probability from which on one treats; band: "
    "interval at each threshold. The prevalence is that of the test images.",
    "errors": "The most confident wrong decisions on the test images, worst first.",
}
"""Figures that have a place on the page, with their captions; any other figure is shown after the results."""


def render_report(content: ReportContent) -> str:
    """The page as HTML text, below 3 MB."""
    environment = environment_of_pages()
    environment.filters["decimal"] = decimal_text
    return writable(environment.get_template("report.html.jinja").render(**_words(content)))


def _words(content: ReportContent) -> dict[str, Any]:
    """What the template is given: texts, tables of texts and pictures, nothing left to compute."""
    told: dict[str, Any] = {
        "measured": Measured(content.evaluation),
        "leakage": content.leakage,
        "transferability": content.transferability,
    }
    pictures = embed_pictures(content.figures)
    return {
        "content": content,
        "card": content.model_card,
        "interval": told["measured"].interval,
        "temperature": content.model_card.get("temperature"),
        "crossed": _crossed(content.leakage),
        "sentences": summary_sentences(**told, card=content.model_card),
        "cautions": [*evidence_cautions(content.evidence, content.shortcuts, content.test_reads), *cautions(**told)],
        "evidence": _evidence_words(content) if content.evidence is not None else None,
        "reads": reads_sentence(content.test_reads),
        "checklists": checklists(content),
        "cards": headline_cards(told["measured"]),
        "tables": _tables(content),
        "quarantine_rows_shown": QUARANTINE_ROWS_SHOWN,
        "pictures": pictures,
        "further": [name for name in pictures if name not in FIGURE_TEXTS],
        "figure_texts": FIGURE_TEXTS,
        "licences": licences_with_flags(content.model_card),
        "facts": _facts(content.model_card),
    }


def _tables(content: ReportContent) -> dict[str, pd.DataFrame]:
    tables = {
        "metrics": metrics_table(content.evaluation),
        "splits": splits_table(content.leakage),
        "groups": groups_table(content.leakage),
        "parameters": parameters_table(content.model_card.get("parameters") or []),
        "timing": timing_table(content.timing),
        "quarantine_counts": quarantine_counts(content.quarantine),
        "quarantine": _first_files(content.quarantine),
        **_evidence_tables(content),
    }
    if content.transferability is not None:
        tables["ranking"] = ranking_table(content.transferability)
        if content.transferability.get("agreement"):
            tables["agreement"] = agreement_table(content.transferability)
    return tables


def _evidence_words(content: ReportContent) -> dict[str, Any]:
    evidence, shortcuts = content.evidence or {}, content.shortcuts or {"found": [], "reason": "it was not asked for"}
    return {
        "worst": worst_group_sentences(evidence["subgroups"]),
        "left_out": evidence["subgroups"]["left_out"],
        "worth": worth_sentence(evidence["decision_curve"]),
        "alarms": shortcut_alarms(shortcuts),
        "no_shortcuts": shortcuts["reason"],
    }


def _evidence_tables(content: ReportContent) -> dict[str, pd.DataFrame]:
    if content.evidence is None:
        return {}
    return {
        "per_class": per_class_table(content.evidence["per_class"]),
        "subgroups": subgroups_table(content.evidence["subgroups"]),
        "predictive": predictive_table(content.evidence["predictive_values"]),
        "shortcuts": shortcuts_table(content.shortcuts or {"found": []}),
        "quarantine_bias": quarantine_table(content.evidence["quarantine"]),
    }


def _crossed(leakage: Mapping[str, Any]) -> list[tuple[str, str]]:
    """Examples of nearly equal images with different labels, where the report on leakage names them."""
    found = leakage.get("cross_label_pairs")
    if not isinstance(found, Mapping):
        return []
    examples = found.get("examples", [])
    labels = found.get("labels") or [(None, None)] * len(examples)
    named = (
        [f"{path} ({label})" if label else str(path) for path, label in zip(*pair, strict=True)]
        for pair in zip(examples, labels, strict=True)
    )
    return [(first, second) for first, second in named]


def _first_files(quarantine: pd.DataFrame) -> pd.DataFrame:
    shown = quarantine.loc[:, ["path", "reason"]].head(QUARANTINE_ROWS_SHOWN)
    return shown.rename(columns={"path": "File", "reason": "Reason"})


def _facts(card: Mapping[str, Any]) -> list[tuple[str, str]]:
    """The model in a few lines, in the order in which one would ask."""
    names = {
        "kind": "Method",
        "selection": "Epoch chosen by",
        "architecture": "Architecture",
        "source": "Source",
        "classes": "Classes",
        "positive_class": "Positive class",
        "preprocessing": "Preprocessing",
        "symmetries": "Predictions averaged with mirror images",
        "temperature": "Temperature",
        "threshold": "Decision threshold",
    }
    return [(label, _fact_text(card[name])) for name, label in names.items() if name in card]


def _fact_text(value: Any) -> str:
    if missing(value):
        return "none"
    if isinstance(value, float):
        return f"{value:.4g}"
    if isinstance(value, bool | int | str):
        return str(value) if isinstance(value, str | bool) else count_text(value)
    if isinstance(value, Mapping):
        return "; ".join(f"{name}: {_fact_text(part)}" for name, part in value.items())
    return ", ".join(_fact_text(part) for part in value) or "none"
