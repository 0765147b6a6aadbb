"""From the rows of a manifest to a folder with a trained, calibrated model: the story of the training stage."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from medical_transfer.data.cache import ImageCache
from medical_transfer.methods import METHODS
from medical_transfer.models.building import build
from medical_transfer.models.card import CARD_FILE, WEIGHTS_FILE
from medical_transfer.models.classifier import Classifier
from medical_transfer.runtime.files import read_json
from medical_transfer.runtime.seeds import derive_seed
from medical_transfer.splits.leakage import split_hash
from medical_transfer.training.finish import save_calibrated
from medical_transfer.training.fit import fit
from medical_transfer.training.phase_rows import prepare_rows
from medical_transfer.training.recipe import Recipe, learning_set

KEPT = (CARD_FILE, WEIGHTS_FILE, "history.json")
"""What a finished model's folder holds."""


def produce_model(recipe: Recipe, manifest: pd.DataFrame, cache: ImageCache, *, folder: Path) -> None:
    """Build the network, train it by the method of `training.kind`, calibrate it on validation and save it in `folder`.

    A folder that holds the remains of a killed run is continued.

    Raises:
        UserError: where a class has no image to learn from or to be judged on, or training ends in NaN.
    """
    if (folder / CARD_FILE).exists():  # written last: the run was killed while tidying up
        _tidy(folder)
        return
    kind = recipe.training.kind
    learning = learning_set(manifest, cache, per_class=recipe.training.per_class, seed=recipe.seed)
    classifier = build(
        recipe.source,
        recipe.model,
        classes=len(learning.classes),
        seed=derive_seed(recipe.seed, "init/head"),
        backbones=recipe.backbones,
        packages_folder=recipe.folders.packages,
    )
    weights_C = class_weights(learning.train.labels_N, len(learning.classes)) if recipe.training.class_weights else None
    method = METHODS[kind](classifier, model=recipe.model, training=recipe.training, class_weights_C=weights_C)
    rows = prepare_rows(method.phases(), classifier, learning, recipe)
    fit(
        method,
        rows.of,
        training=recipe.training,
        seed=derive_seed(recipe.seed, f"training/{kind}"),
        folder=folder,
        name=f"{recipe.source.architecture}/{recipe.images.size}",
    )
    formats = {path.name.split(".")[0]: str(read_json(path)["format"]) for path in folder.glob("*.done.json")}
    trained = method.predictor().cpu().eval()
    if weights_C is not None:
        undo_class_weights(trained, weights_C)
    save_calibrated(trained, learning, recipe, folder=folder, split_hash=split_hash(manifest), number_formats=formats)
    _tidy(folder)


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
        if left.is_dir():
            shutil.rmtree(left)
        elif left.name not in KEPT:
            left.unlink()
