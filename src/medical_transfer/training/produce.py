"""From the rows of a manifest to a folder with a trained, calibrated model."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from numpy.typing import NDArray
from torch import Tensor

from medical_transfer.config.augmentation import Augmentation
from medical_transfer.config.backbones import Backbones
from medical_transfer.config.evaluation import Evaluation
from medical_transfer.config.folders import Folders
from medical_transfer.config.images import Images
from medical_transfer.config.model import Model
from medical_transfer.config.training import Training
from medical_transfer.data.cache import ImageCache
from medical_transfer.data.dataset import LabelledRows, class_names, labelled_rows
from medical_transfer.data.loaders import Rows
from medical_transfer.data.readers import licence_of
from medical_transfer.methods import METHODS
from medical_transfer.methods.contract import Phase
from medical_transfer.metrics.calibration import apply_temperature, fit_temperature
from medical_transfer.metrics.thresholds import fit_threshold
from medical_transfer.models.building import build
from medical_transfer.models.card import ModelCard
from medical_transfer.models.checkpoint import save_checkpoint
from medical_transfer.models.classifier import Classifier
from medical_transfer.models.features import Views, write_views
from medical_transfer.models.inference import predict_logits
from medical_transfer.models.source import Source
from medical_transfer.runtime.seeds import derive_seed
from medical_transfer.runtime.stage import content_key, once
from medical_transfer.splits.leakage import split_hash
from medical_transfer.training.data import PhaseData
from medical_transfer.training.fit import fit
from medical_transfer.types import UserError


@dataclass(frozen=True)
class Recipe:
    """All that shapes a model beside the images and the source."""

    images: Images
    model: Model
    training: Training
    augmentation: Augmentation
    evaluation: Evaluation
    backbones: Backbones
    folders: Folders
    seed: int


@dataclass(frozen=True)
class LearningSet:
    """What is learned from: the classes, the training and the validation rows, and where their pixels are."""

    classes: tuple[str, ...]
    train: LabelledRows
    val: LabelledRows
    cache: ImageCache


def produce_model(recipe: Recipe, source: Source, manifest: pd.DataFrame, cache: ImageCache, *, folder: Path) -> None:
    """Build the network, train it by the method of `training.kind`, calibrate it on validation and save it in `folder`.

    A folder that holds the remains of a killed run is continued.

    Raises:
        UserError: where a class has no image to learn from or to be judged on, or training ends in NaN.
    """
    classes = class_names(manifest)
    rows = LearningSet(classes, labelled_rows(manifest, cache, "train"), labelled_rows(manifest, cache, "val"), cache)
    _every_class_is_there(rows)
    classifier = build(
        source,
        recipe.model,
        classes=len(classes),
        seed=derive_seed(recipe.seed, "init/head"),
        backbones=recipe.backbones,
        packages_folder=recipe.folders.packages,
    )
    method = METHODS[recipe.training.kind](
        classifier,
        model=recipe.model,
        training=recipe.training,
        class_weights_C=class_weights(rows.train.labels_N, len(classes)) if recipe.training.class_weights else None,
    )
    data_of = _data_source(method.phases(), classifier, rows, recipe, source)
    fit(
        method,
        data_of,
        training=recipe.training,
        seed=derive_seed(recipe.seed, f"training/{recipe.training.kind}"),
        folder=folder,
        name=f"{source.architecture}/{recipe.images.size}",
    )
    _save(method.predictor().cpu().eval(), rows, recipe, source, folder=folder, split=split_hash(manifest))
    _tidy(folder)


def _every_class_is_there(rows: LearningSet) -> None:
    for split, part in (("train", rows.train), ("val", rows.val)):
        counts_C = np.bincount(part.labels_N, minlength=len(rows.classes))
        if absent := [name for name, count in zip(rows.classes, counts_C, strict=True) if not count]:
            raise UserError(
                f"Split '{split}' has no usable image of {', '.join(absent)}: every class needs some. Give it some, "
                "give no row a split, or drop the class with images.classes."
            )


def class_weights(labels_N: NDArray[np.int64], classes: int) -> Tensor:
    """Weights (C,) by inverse frequency, N / (C n_c), so that every class counts the same and the mean weight is 1."""
    counts_C = np.bincount(labels_N, minlength=classes)
    return torch.from_numpy(len(labels_N) / (classes * counts_C)).float()


def _data_source(
    phases: tuple[Phase, ...], classifier: Classifier, rows: LearningSet, recipe: Recipe, source: Source
) -> Callable[[Phase], PhaseData]:
    """Rows for each phase: images where it learns the whole network, cached activations elsewhere."""
    cuts = tuple(sorted({phase.cut for phase in phases if phase.cut > 0}))
    views = recipe.augmentation.views if cuts and recipe.augmentation.policy != "none" else 0
    train = _cached_views(cuts, views, classifier, rows.train, rows.cache, recipe, source)
    val = _cached_views(cuts, 0, classifier, rows.val, rows.cache, recipe, source)
    _standardise(classifier, train)

    def data_of(phase: Phase) -> PhaseData:
        if phase.cut == 0:
            learn, judge = (_images(rows.cache, part) for part in (rows.train, rows.val))
        else:
            learn, judge = _cached(train, phase.cut, views, rows.train), _cached(val, phase.cut, 0, rows.val)
        return PhaseData(learn, judge, recipe.training.batch_size, recipe.augmentation.policy)

    return data_of


def _standardise(classifier: Classifier, train: Views) -> None:
    """Give the head the mean and spread of the training features, so that its learning rate fits any trunk."""
    features_ND = np.array(train.array(len(classifier.trunk.stage_names), 0))
    classifier.standardise.fit(torch.from_numpy(features_ND))


def _cached_views(
    cuts: tuple[int, ...],
    views: int,
    classifier: Classifier,
    rows: LabelledRows,
    cache: ImageCache,
    recipe: Recipe,
    source: Source,
) -> Views:
    cuts = tuple(sorted({*cuts, len(classifier.trunk.stage_names)}))
    seed = derive_seed(recipe.seed, f"views/{recipe.augmentation.policy}")
    key = content_key(
        inputs={
            "cache": cache.key,
            "source": source.fingerprint,
            "images": list(rows.image_ids),
            "cuts": cuts,
            "views": views,
            "policy": [recipe.augmentation.policy, seed] if views else None,
        },
        parameters=[],
        modules=["medical_transfer.models", "medical_transfer.data.augment"],
    )
    folder = once(
        recipe.folders.features,
        key,
        lambda partial: write_views(
            classifier,
            cuts=cuts,
            pixels_NSS3=cache.pixels_NSS3,
            slots_n=rows.slots_N,
            views=views,
            policy=recipe.augmentation.policy,
            seed=seed,
            folder=partial,
        ),
    )
    return Views(folder)


def _images(cache: ImageCache, rows: LabelledRows) -> Rows:
    return Rows((cache.pixels_NSS3,), (rows.slots_N,), rows.labels_N)


def _cached(store: Views, cut: int, views: int, rows: LabelledRows) -> Rows:
    arrays = tuple(store.array(cut, view) for view in range(views + 1))
    return Rows(arrays, (np.arange(len(rows)),) * len(arrays), rows.labels_N)


def _save(
    classifier: Classifier, rows: LearningSet, recipe: Recipe, source: Source, *, folder: Path, split: str
) -> None:
    """Fit temperature and threshold on validation and write the model with its card."""
    logits_NC = predict_logits(classifier, rows.cache.pixels_NSS3, rows.val.slots_N)
    temperature = fit_temperature(logits_NC, rows.val.labels_N)
    positive, threshold = None, None
    if len(rows.classes) == 2:
        positive = recipe.images.positive_class or rows.classes[-1]
        column = rows.classes.index(positive)
        scores_N = apply_temperature(logits_NC, temperature)[:, column]
        hits_N = (rows.val.labels_N == column).astype(np.int64)
        threshold = fit_threshold(hits_N, scores_N, recipe.evaluation.threshold, recipe.evaluation.target)
    card = ModelCard(
        kind=recipe.training.kind,
        source=source.name,
        source_fingerprint=source.fingerprint,
        architecture=source.architecture,
        head=recipe.model.head,
        dropout=recipe.model.dropout,
        classes=rows.classes,
        positive_class=positive,
        preprocessing=source.preprocessing,
        size=recipe.images.size,
        fit=recipe.images.fit,
        temperature=temperature,
        threshold=threshold,
        split_hash=split,
        data_fingerprint=rows.cache.meta["fingerprint"],
        data_licence=licence_of(recipe.images),
        weights_licence=source.licence,
    )
    save_checkpoint(folder, classifier, card)


def _tidy(folder: Path) -> None:
    """Remove what only a resumed training needs."""
    for name in ("head", "trunk"):
        shutil.rmtree(folder / name, ignore_errors=True)
    for left in [*folder.glob("best.*"), *folder.glob("*.done.json")]:
        left.unlink()
