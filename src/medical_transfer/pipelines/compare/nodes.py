"""Nodes of the comparison of two models."""

from __future__ import annotations

from typing import Any

from medical_transfer.config.base import Run
from medical_transfer.config.compare import Compare
from medical_transfer.config.evaluation import Evaluation
from medical_transfer.config.folders import Folders
from medical_transfer.evaluation.compare import compare as compare_tables
from medical_transfer.evaluation.sides import both_sides, common_positive
from medical_transfer.runtime.files import without_nan
from medical_transfer.runtime.seeds import derive_seed


def compare_models(compare: Compare, evaluation: Evaluation, folders: Folders, run: Run) -> dict[str, Any]:
    """Differences of all metrics on the test images, b minus a, with intervals from the same resamples."""
    a, b = both_sides(compare, folders.predictions)
    positive = common_positive(a, b, compare)
    seed = derive_seed(run.seed, "bootstrap")
    found = compare_tables(a.table, b.table, list(a.classes), positive, evaluation, seed)
    told: dict[str, Any] = without_nan({**found, "a": a.described(), "b": b.described()})
    return told


def report(comparison: dict[str, Any]) -> str:
    """The page."""
    from medical_transfer.reporting.comparison import render_comparison  # noqa: PLC0415 - brings jinja and pandas

    return render_comparison(comparison)
