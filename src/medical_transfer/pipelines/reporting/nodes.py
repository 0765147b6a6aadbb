"""Nodes of reporting."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import pandas as pd

from medical_transfer.config.adaptation import ADAPTING
from medical_transfer.config.base import Run
from medical_transfer.config.blocks import changed
from medical_transfer.config.images import Images
from medical_transfer.models.card import ModelCard, TrainedModel
from medical_transfer.pipelines.reporting.figures import FIGURES
from medical_transfer.runtime.provenance import code_state, command_line
from medical_transfer.types import Figure

if TYPE_CHECKING:
    from medical_transfer.reporting.report import Provenance, ReportContent


def draw_split(leakage: dict[str, Any]) -> Figure:
    """Images of each class in each split."""
    from medical_transfer.reporting.charts import split_figure  # noqa: PLC0415 - brings matplotlib's fonts

    return split_figure(leakage)


def write_report(  # noqa: PLR0913, PLR0917 - a node's inputs
    finetuned_evaluation: dict[str, Any],
    finetuned_evidence: dict[str, Any],
    shortcuts: dict[str, Any],
    test_reads: dict[str, Any],
    finetuned_history: pd.DataFrame,
    finetuned_model: TrainedModel,
    model_plan: dict[str, Any],
    leakage: dict[str, Any],
    quarantine: pd.DataFrame,
    transferability_scores: dict[str, Any],
    timing: dict[str, Any],
    parameters: dict[str, Any],
    images: Images,
    run: Run,
    *figures: bytes,
) -> tuple[str, str, str]:
    """Put the run's results on one page, beside model card and checklists; `figures` are in the order of `FIGURES`."""
    from medical_transfer.pipelines.reporting.limits import limits_of  # noqa: PLC0415
    from medical_transfer.reporting.report import ReportContent  # noqa: PLC0415

    card = finetuned_model.card
    content = ReportContent(
        title=f"Transferred classifier: {' / '.join(card.classes)}",
        evaluation=finetuned_evaluation,
        leakage=leakage,
        transferability=transferability_scores,
        model_card=_card_facts(card, model_plan),
        history=finetuned_history,
        timing=timing,
        quarantine=quarantine,
        provenance=_provenance(run.seed, changed(parameters)),
        figures=dict(zip(FIGURES.values(), figures, strict=True)),
        limits=limits_of(images, leakage, adapts=card.kind in ADAPTING),
        evidence=finetuned_evidence,
        shortcuts=shortcuts,
        test_reads=test_reads,
    )
    return _pages(content)


def _pages(content: ReportContent) -> tuple[str, str, str]:
    from medical_transfer.reporting.checklists import checklists_text  # noqa: PLC0415
    from medical_transfer.reporting.model_card import model_card_text  # noqa: PLC0415
    from medical_transfer.reporting.report import render_report  # noqa: PLC0415

    return render_report(content), model_card_text(content), checklists_text(content)


def _card_facts(card: ModelCard, model_plan: dict[str, Any]) -> dict[str, Any]:
    facts = card.model_dump(mode="json")
    return {**facts, "parameters": model_plan["parameters"], "licences": _licences(card)}


def _licences(card: ModelCard) -> dict[str, str]:
    """What is used -> its licence; of several sources side by side each has a line, since all of them hold."""
    weights = {f"weights of {member.source}": member.weights_licence for member in card.members}
    return {"data": card.data_licence, **(weights or {"weights": card.weights_licence})}


def _provenance(seed: int, settings: dict[str, str]) -> Provenance:
    from medical_transfer.reporting.report import Provenance  # noqa: PLC0415

    state = code_state()
    created = datetime.now(UTC).strftime("%Y-%m-%d %H:%M UTC")
    return Provenance(state.git_sha, state.dirty, seed, command_line(), created, settings)
