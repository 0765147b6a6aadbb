"""Nodes of evidence."""

from __future__ import annotations

from typing import Any

import pandas as pd

from medical_transfer.config.base import Run
from medical_transfer.config.evaluation import Evaluation
from medical_transfer.config.folders import Folders
from medical_transfer.config.images import Images
from medical_transfer.data.cache import ImageCache
from medical_transfer.datasets.record_of_tests import RecordOfTests
from medical_transfer.models.card import TrainedModel
from medical_transfer.runtime.files import without_nan
from medical_transfer.runtime.seeds import derive_seed
from medical_transfer.types import Figure


def weigh_evidence(
    finetuned_predictions: pd.DataFrame,
    finetuned_model: TrainedModel,
    manifest: pd.DataFrame,
    evaluation: Evaluation,
    run: Run,
) -> dict[str, Any]:
    """Classes and subgroups of the test images, worth of decisions, and where bad files come from."""
    from medical_transfer.evaluation.evidence import weigh  # noqa: PLC0415 - not before it is needed

    card, seed = finetuned_model.card, derive_seed(run.seed, "evidence")
    classes = list(card.classes)
    told = weigh(finetuned_predictions, manifest, classes, card.positive_class, card.threshold, evaluation, seed)
    found: dict[str, Any] = without_nan({**told})
    return found


def find_shortcuts(
    manifest: pd.DataFrame, image_cache: ImageCache, images: Images, folders: Folders, evaluation: Evaluation, run: Run
) -> dict[str, Any]:
    """Whether the class can be told without looking at the image; reads no model."""
    from medical_transfer.evaluation.shortcuts import shortcuts_of  # noqa: PLC0415 - brings scikit-learn

    found: dict[str, Any] = without_nan(
        {**shortcuts_of(manifest, image_cache, images, folders.packages, evaluation, run.seed)}
    )
    return found


def count_reads(finetuned_evaluation: dict[str, Any], record_of_tests: RecordOfTests) -> dict[str, Any]:
    """How often these test images have been read, this run included."""
    return record_of_tests.reads(finetuned_evaluation["about"]["test_set"])


def draw_worth(finetuned_evidence: dict[str, Any]) -> Figure:
    """The decision curve."""
    from medical_transfer.reporting.decision_curve import decision_figure  # noqa: PLC0415 - matplotlib's fonts

    return decision_figure(finetuned_evidence["decision_curve"])
