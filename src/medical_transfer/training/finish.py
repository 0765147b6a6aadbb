"""The last step of training: temperature and threshold are fitted on validation and saved with the weights."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from medical_transfer.config.dicom import Dicom
from medical_transfer.config.evaluation import Evaluation
from medical_transfer.data.readers import licence_of
from medical_transfer.metrics.calibration import apply_temperature, fit_temperature
from medical_transfer.metrics.thresholds import fit_threshold
from medical_transfer.models.card import ModelCard, source_facts
from medical_transfer.models.checkpoint import save_checkpoint
from medical_transfer.models.classifier import Classifier
from medical_transfer.models.inference import classify_features, look_at, looking
from medical_transfer.models.recipe import Recipe
from medical_transfer.models.reference import Reference, drawn_rows, write_reference
from medical_transfer.models.source_view import SourceView
from medical_transfer.runtime.seeds import generator
from medical_transfer.training.learning_set import LearningSet


def save_calibrated(
    classifier: Classifier,
    learning: LearningSet,
    recipe: Recipe,
    *,
    folder: Path,
    split_hash: str,
    number_formats: dict[str, str],
    kind: str | None = None,
    view: SourceView | None = None,
) -> None:
    """Calibrate the trained classifier on the validation rows and write it with its card to `folder`.

    `kind`: how it was trained (None: `training.kind`); `view`: how source features become what the last layer sees.
    """
    logits_NC, reference = _seen(classifier, learning, recipe, view)
    positive = positive_of(learning.classes, recipe.images.positive_class)
    temperature, threshold = _calibration(logits_NC, positive, learning, recipe.evaluation)
    card = ModelCard(
        kind=kind or recipe.training.kind,
        selection=recipe.training.adaptation.selection if recipe.training.adapts else "source",
        **source_facts(recipe.source),
        head=recipe.model.head,
        dropout=recipe.model.dropout,
        classes=learning.classes,
        positive_class=positive,
        size=recipe.images.size,
        fit=recipe.images.fit,
        sixteen_bit=recipe.images.sixteen_bit,
        dicom=recipe.images.dicom.model_copy(update={"salt": Dicom().salt}),
        symmetries=recipe.augmentation.symmetries,
        temperature=temperature,
        threshold=threshold,
        split_hash=split_hash,
        data_fingerprint=learning.cache.meta["fingerprint"],
        data_licence=licence_of(recipe.images),
        number_formats=number_formats,
        reference_sha256=write_reference(folder, reference),
    )
    save_checkpoint(folder, classifier, card)


def _seen(
    classifier: Classifier, learning: LearningSet, recipe: Recipe, view: SourceView | None
) -> tuple[NDArray[np.float64], Reference]:
    """Logits of all validation rows; features of training and validation rows that later images are held against."""
    pixels_NSS3, val = learning.cache.pixels_NSS3, learning.val
    symmetries = recipe.augmentation.symmetries
    learned = learning.train.take(drawn_rows(learning.train.labels_N, generator(recipe.seed, "reference/train")))
    shown = len(val) * (1 + len(symmetries)) + len(learned)
    look = looking(classifier, pixels_NSS3.shape[1], shown)
    logits_NC, features_NH = _viewed(classifier, look_at(look, pixels_NSS3, val.slots_N, symmetries), view)
    judged_m = drawn_rows(val.labels_N, generator(recipe.seed, "reference/val"))
    reference = Reference(
        train_ND=_viewed(classifier, look_at(look, pixels_NSS3, learned.slots_N), view)[1],
        train_labels_N=learned.labels_N,
        train_groups_N=learned.groups_N,
        val_MD=features_NH[judged_m],
        val_labels_M=val.labels_N[judged_m],
        val_groups_M=val.groups_N[judged_m],
        val_logits_MC=logits_NC[judged_m].astype(np.float32),
    )
    return logits_NC, reference


def _viewed(
    classifier: Classifier, seen: tuple[NDArray[np.float64], NDArray[np.float32]], view: SourceView | None
) -> tuple[NDArray[np.float64], NDArray[np.float32]]:
    """Logits and features of the source's images as the last layer should see them."""
    if view is None:
        return seen
    features_NH = view.of(seen[1].astype(np.float64)).astype(np.float32)
    return classify_features(classifier, features_NH), features_NH


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
    return fit_threshold(positive_N.astype(np.int64), scores_N, *evaluation.operating_point)
