"""Nodes of prediction on new images."""

from __future__ import annotations

import pandas as pd

from medical_transfer.config.folders import Folders
from medical_transfer.config.predict import Predict
from medical_transfer.pipelines.predict.new_predictions import model_of, predictions_of, shown_name


def predict_new(predict: Predict, folders: Folders) -> pd.DataFrame:
    """Probabilities, decision, novelty and abstention of every file found; computed once per model and data."""
    return predictions_of(predict, folders, task="predict")


def aggregate(predict_predictions: pd.DataFrame, predict: Predict, folders: Folders) -> pd.DataFrame:
    """The same by patient, where groups are known."""
    from medical_transfer.evaluation.patients import by_patient  # noqa: PLC0415 - numpy, which few commands need

    card = model_of(predict, folders, "predict").card
    return by_patient(predict_predictions, card.classes, card.positive_class, card.threshold)


def write_page(
    predict_predictions: pd.DataFrame, predict_patients: pd.DataFrame, predict: Predict, folders: Folders
) -> str:
    """One page with counts, what could not be read, and the first rows."""
    from medical_transfer.reporting.new_images_page import NewImagesFacts, render_new_images  # noqa: PLC0415 - jinja

    model = model_of(predict, folders, "predict")
    return render_new_images(
        NewImagesFacts(
            predictions=predict_predictions,
            patients=predict_patients,
            images=shown_name(predict),
            model_key=model.folder.name,
            card=model.card.model_dump(mode="json"),
            novelty=predict.novelty,
            false_abstain=predict.false_abstain,
        )
    )
