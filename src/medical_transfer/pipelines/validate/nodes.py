"""Nodes of validation on new labelled images."""

from __future__ import annotations

from typing import Any

import pandas as pd

from medical_transfer.config.base import Run
from medical_transfer.config.evaluation import Evaluation
from medical_transfer.config.folders import Folders
from medical_transfer.config.validate import Validate
from medical_transfer.pipelines.predict.new_predictions import model_of, predictions_of, shown_name
from medical_transfer.runtime.files import without_nan
from medical_transfer.runtime.seeds import derive_seed

TASK = "validate"


def predict_labelled(validate: Validate, folders: Folders) -> pd.DataFrame:
    """Predictions of the new images, with their labels."""
    return predictions_of(validate, folders, TASK)


def measure(
    validate_predictions: pd.DataFrame, validate: Validate, evaluation: Evaluation, folders: Folders, run: Run
) -> dict[str, Any]:
    """Metrics with intervals, by image and by patient, with and without abstention and recalibration."""
    from medical_transfer.evaluation.validation import validated  # noqa: PLC0415 - numpy, which few commands need

    card = model_of(validate, folders, TASK).card
    seed = derive_seed(run.seed, "bootstrap")
    told: dict[str, Any] = without_nan(validated(validate_predictions, card, evaluation, seed))
    return told


def write_page(validate_evaluation: dict[str, Any], validate: Validate, folders: Folders) -> str:
    """One page with the numbers and what they mean."""
    from medical_transfer.reporting.validation_page import render_validation  # noqa: PLC0415 - jinja

    model = model_of(validate, folders, TASK)
    card = model.card.model_dump(mode="json")
    return render_validation(validate_evaluation, card, shown_name(validate), model.folder.name)
