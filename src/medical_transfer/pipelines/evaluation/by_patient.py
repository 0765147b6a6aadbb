"""The node of evaluation that counts patients."""

from __future__ import annotations

from typing import Any

import pandas as pd

from medical_transfer.config.base import Run
from medical_transfer.config.evaluation import Evaluation
from medical_transfer.models.card import TrainedModel
from medical_transfer.runtime.files import without_nan
from medical_transfer.runtime.seeds import derive_seed


def measure_patients(
    finetuned_predictions: pd.DataFrame,
    audit: pd.DataFrame,
    finetuned_model: TrainedModel,
    evaluation: Evaluation,
    run: Run,
) -> dict[str, Any]:
    """Metrics of validation and test by patient; without patients, the reason why there are none."""
    from medical_transfer.evaluation.patient_metrics import patient_evaluation  # noqa: PLC0415 - few commands need it

    seed = derive_seed(run.seed, "bootstrap")
    told: dict[str, Any] = without_nan(
        patient_evaluation(finetuned_predictions, audit, finetuned_model.card, evaluation, seed)
    )
    return told
