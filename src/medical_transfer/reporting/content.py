"""What the report, the model card and the checklists are made from."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import pandas as pd


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
        evidence: content of `finetuned_evidence.json`; null: those sections are left out.
        shortcuts: content of `shortcuts.json`.
        test_reads: content of `test_reads.json`.
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
    evidence: Mapping[str, Any] | None = None
    shortcuts: Mapping[str, Any] | None = None
    test_reads: Mapping[str, Any] | None = None
