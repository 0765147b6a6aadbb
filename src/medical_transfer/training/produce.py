"""From the rows of a manifest to a folder with a trained, calibrated model: the story of the training stage."""

from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from medical_transfer.data.cache import ImageCache
from medical_transfer.methods import METHODS
from medical_transfer.methods.distill import Distill
from medical_transfer.methods.finetune import FineTune
from medical_transfer.models.building import build
from medical_transfer.models.card import CARD_FILE, EPOCHS, WEIGHTS_FILE
from medical_transfer.models.classifier import Classifier
from medical_transfer.models.recipe import Recipe
from medical_transfer.runtime.files import read_json
from medical_transfer.runtime.seeds import derive_seed
from medical_transfer.splits.leakage import split_hash
from medical_transfer.training.finish import save_calibrated
from medical_transfer.training.fit import fit
from medical_transfer.training.learning_set import LearningSet, learning_set, unlabelled_set
from medical_transfer.training.lesson import learn_lesson
from medical_transfer.training.phase_rows import prepare_rows

KEPT = (CARD_FILE, WEIGHTS_FILE, "history.json", EPOCHS)
"""What a finished model's folder holds."""


def produce_model(
    recipe: Recipe,
    manifest: pd.DataFrame,
    cache: ImageCache,
    *,
    folder: Path,
    target: tuple[pd.DataFrame, ImageCache] | None = None,
) -> None:
    """Build the network, train it by the method of `training.kind`, calibrate it on validation and save it in `folder`.

    A folder that holds the remains of a killed run is continued.

    Args:
        recipe: all that shapes the model.
        manifest: rows of the site whose labels are learned.
        cache: their pixels.
        folder: where the model goes.
        target: manifest and pixels of a second site, learned from without labels by methods that adapt.

    Raises:
        UserError: where a class has no image to learn from or to be judged on, the second site has too few images, or
            training ends in NaN.
    """
    if (folder / CARD_FILE).exists():  # written last: the run was killed while tidying up
        _tidy(folder)
        return
    learning = learning_set(manifest, cache, per_class=recipe.training.per_class, seed=recipe.seed)
    if target is not None:
        learning = replace(learning, target=unlabelled_set(*target, batch_size=recipe.training.batch_size))
    method = _method(recipe, learning)
    trained = _trained(method, learning, recipe, folder)
    if method.class_weights_C is not None:
        undo_class_weights(trained, method.class_weights_C)
    formats = {path.name.split(".")[0]: str(read_json(path)["format"]) for path in folder.glob("*.done.json")}
    save_calibrated(trained, learning, recipe, folder=folder, split_hash=split_hash(manifest), number_formats=formats)
    _tidy(folder)


def _method(recipe: Recipe, learning: LearningSet) -> FineTune:
    """The method on a new network."""
    classes, kind = len(learning.classes), recipe.training.kind
    classifier = build(
        recipe.source,
        recipe.model,
        classes=classes,
        seed=derive_seed(recipe.seed, "init/head"),
        backbones=recipe.backbones,
        packages_folder=recipe.folders.packages,
    )
    return METHODS[kind](
        classifier,
        model=recipe.model,
        training=recipe.training,
        class_weights_C=class_weights(learning.train.labels_N, classes) if recipe.training.class_weights else None,
        seed=derive_seed(recipe.seed, f"init/{kind}"),
    )


def _trained(method: FineTune, learning: LearningSet, recipe: Recipe, folder: Path) -> Classifier:
    """Train a method and return its network with the best weights."""
    phases = method.phases()
    lesson = None
    if isinstance(method, Distill) and recipe.training.cached:
        pictures = any(phase.cut == 0 for phase in phases)
        lesson = learn_lesson(method.teacher, learning, recipe, map_cut=method.teacher_cut, pictures=pictures)
    rows = prepare_rows(phases, method.classifier, learning, recipe, lesson)
    fit(
        method,
        rows.of,
        training=recipe.training,
        seed=derive_seed(recipe.seed, f"training/{recipe.training.kind}"),
        folder=folder,
        name=f"{recipe.source.architecture}/{recipe.images.size}",
    )
    return method.predictor().cpu().eval()


def class_weights(labels_N: NDArray[np.int64], classes: int) -> Tensor:
    """Weights (C,) by inverse frequency, N / (C n_c), so that every class counts the same and the mean weight is 1."""
    counts_C = np.bincount(labels_N, minlength=classes)
    return torch.from_numpy(len(labels_N) / (classes * counts_C)).float()


def undo_class_weights(classifier: Classifier, weights_C: Tensor) -> None:
    """Give the probabilities the training prevalence back, in place: subtract log w_c from the logit of each class.

    Cross-entropy weighted by w_c is least where the model says w_c p_c / sum(w p) instead of p_c (Elkan 2001, theorem
    2, for classes instead of costs); a temperature cannot undo that shift.
    """
    last = [module for module in classifier.head.modules() if isinstance(module, nn.Linear)][-1]
    with torch.no_grad():
        last.bias.sub_(weights_C.log())


def _tidy(folder: Path) -> None:
    """Remove what only a resumed training needs: the folders of phases and the best weights on the way."""
    for left in folder.iterdir():
        if left.name in KEPT:
            continue
        if left.is_dir():
            shutil.rmtree(left)
        else:
            left.unlink()
