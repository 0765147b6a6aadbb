"""One self-contained page that a clinician can read: no script, no outside resource, every name of a user escaped."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

from medical_transfer.reporting.embedding import embed_pictures
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

if TYPE_CHECKING:
    import pandas as pd

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
    "errors": "The most confident wrong decisions on the test images, worst first.",
}
"""Figures that have a place on the page, with their captions; any other figure is shown after the results."""


@dataclass(frozen=True, slots=True)
class Provenance:
    """What it takes to make the page again.

    `git_sha` is null outside a repository; `settings` are the parameters that are not at their defaults, wherever they
    were set: the command line alone does not tell of files.
    """

    git_sha: str | None
    git_dirty: bool
    seed: int
    command: str
    created: str
    settings: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class ReportContent:
    """All that the page shows, in the schemas in which the run writes it.

    Attributes:
        title: of the page, e.g. 'Brain MRI: tumour or none'.
        evaluation: content of `<task>_evaluation.json` (`val`, `test`, `about`).
        leakage: the leakage report of the split.
        transferability: content of `transferability.json`; null where no sources were compared.
        model_card: content of `model.json`, with `parameters` as rows `stage, trainable, total`.
        history: one row per epoch (`phase, epoch, train_loss, val_loss, val_auroc, lr, seconds`).
        timing: stage -> `seconds`, `peak_mb`, `reused_seconds`.
        quarantine: all quarantined files, columns `path, reason`.
        figures: name -> PNG; names of `FIGURE_TEXTS` have their place on the page.
        limits: sentences.
        provenance: how to reproduce the run.
    """

    title: str
    evaluation: Mapping[str, Any]
    leakage: Mapping[str, Any]
    transferability: Mapping[str, Any] | None
    model_card: Mapping[str, Any]
    history: pd.DataFrame
    timing: Mapping[str, Mapping[str, Any]]
    quarantine: pd.DataFrame
    provenance: Provenance
    figures: Mapping[str, bytes] = field(default_factory=dict)
    limits: Sequence[str] = ()


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
        "cautions": cautions(**told),
        "cards": headline_cards(told["measured"]),
        "tables": _tables(content),
        "quarantine_rows_shown": QUARANTINE_ROWS_SHOWN,
        "pictures": pictures,
        "further": [name for name in pictures if name not in FIGURE_TEXTS],
        "figure_texts": FIGURE_TEXTS,
        "licences": _licences(content.model_card),
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
    }
    if content.transferability is not None:
        tables["ranking"] = ranking_table(content.transferability)
        if content.transferability.get("agreement"):
            tables["agreement"] = agreement_table(content.transferability)
    return tables


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


def _licences(card: Mapping[str, Any]) -> list[tuple[str, str, str]]:
    """(what, licence, what to mind): unknown and non-commercial licences are flagged."""
    licences = card.get("licences") or {}
    return [(str(what), str(text), _licence_flag(str(text))) for what, text in licences.items()]


def _licence_flag(licence: str) -> str:
    if not licence or licence.lower() in {"unknown", "none"}:
        return "unknown: find out before use"
    if re.search(r"non[- ]?commercial|\bNC\b", licence, flags=re.IGNORECASE):
        return "non-commercial use only"
    return ""


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
