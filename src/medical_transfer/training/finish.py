"""The last step of training: temperature and threshold are fitted on validation and saved with the weights."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from medical_transfer.config.evaluation import Evaluation
from medical_transfer.data.readers import licence_of
from medical_transfer.metrics.calibration import apply_temperature, fit_temperature
from medical_transfer.metrics.thresholds import fit_threshold
from medical_transfer.models.card import ModelCard, source_facts
from medical_transfer.models.checkpoint import save_checkpoint
from medical_transfer.models.classifier import Classifier
from medical_transfer.models.inference import predict_logits
from medical_transfer.models.recipe import Recipe
from medical_transfer.training.learning_set import LearningSet


def save_calibrated(
    classifier: Classifier,
    learning: LearningSet,
    recipe: Recipe,
    *,
    folder: Path,
    split_hash: str,
    number_formats: dict[str, str],
) -> None:
    """Calibrate the trained classifier on the validation rows and write it with its card to `folder`."""
    logits_NC = predict_logits(
        classifier, learning.cache.pixels_NSS3, learning.val.slots_N, recipe.augmentation.symmetries
    )
    positive = positive_of(learning.classes, recipe.images.positive_class)
    temperature, threshold = _calibration(logits_NC, positive, learning, recipe.evaluation)
    card = ModelCard(
        kind=recipe.training.kind,
        selection=recipe.training.adaptation.selection if recipe.training.adapts else "source",
        **source_facts(recipe.source),
        head=recipe.model.head,
        dropout=recipe.model.dropout,
        classes=learning.classes,
        positive_class=positive,
        size=recipe.images.size,
        fit=recipe.images.fit,
        symmetries=recipe.augmentation.symmetries,
        temperature=temperature,
        threshold=threshold,
        split_hash=split_hash,
        data_fingerprint=learning.cache.meta["fingerprint"],
        data_licence=licence_of(recipe.images),
        number_formats=number_formats,
    )
    save_checkpoint(folder, classifier, card)


def _calibration(
    logits_NC: NDArray[np.float64], positive: str | None, learning: LearningSet, evaluation: Evaluation
) -> tuple[float, float | None]:
    """Temperature, and the threshold where there is a positive class, of the validation rows."""
    temperature = fit_temperature(logits_NC, learning.val.labels_N)
    if positive is None:
        return temperature, None
    column = learning.classes.index(positive)
    scores_N = apply_temperature(logits_NC, temperature)[:, column]
    return temperature, threshold_of(scores_N, learning.val.labels_N == column, evaluation)


def positive_of(classes: tuple[str, ...], asked: str | None) -> str | None:
    """The positive one of two classes: the one asked for, else the last by name; None for more classes."""
    return (asked or classes[-1]) if len(classes) == 2 else None


def threshold_of(scores_N: NDArray[np.float64], positive_N: NDArray[np.bool_], evaluation: Evaluation) -> float:
    """Decision threshold on the calibrated probability of the positive class, by the configured rule."""
    return fit_threshold(positive_N.astype(np.int64), scores_N, evaluation.threshold, evaluation.target)
