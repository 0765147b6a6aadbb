"""CORAL before a linear head: frozen features of the source brought to the target's means, scales and covariances.

The head learns from aligned source features, so that the model takes the target's images as they are. Source: Sun, Feng
and Saenko 2016, "Return of Frustratingly Easy Domain Adaptation"; there the head is a support vector machine, here the
logistic regression that a linear head is elsewhere. Shapes: N source and M target images, D features, C classes.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from medical_transfer.layers.correlation_alignment import recolouring
from medical_transfer.models.building import build
from medical_transfer.models.classifier import Classifier, Standardise
from medical_transfer.models.features import FrozenPart
from medical_transfer.models.recipe import Recipe
from medical_transfer.models.runner import Runner, fast_runner, in_chunks
from medical_transfer.models.source_view import SourceView
from medical_transfer.training.finish import save_calibrated
from medical_transfer.training.learning_set import LearningSet
from medical_transfer.training.produce import class_weights, undo_class_weights

KIND = "feature_alignment"
LEAST_L2 = 1e-6
"""A ridge of 0 has no optimum where classes can be separated."""


def align_features(recipe: Recipe, learning: LearningSet, *, ridge: float, split_hash: str, folder: Path) -> None:
    """Fit a linear head on aligned frozen features, calibrate it on aligned validation features, and save the model.

    Args:
        recipe: all that shapes the model; its head is linear and its trunk as it was pretrained, whatever is asked.
        learning: both sites.
        ridge: added to both covariances.
        split_hash: identity of the source's split.
        folder: where the model goes.
    """
    assert learning.target is not None
    linear = recipe.model.model_copy(update={"head": "linear"})
    classifier = build(
        recipe.source,
        linear,
        classes=len(learning.classes),
        seed=0,
        backbones=recipe.backbones,
        packages_folder=recipe.folders.packages,
    ).eval()
    run = fast_runner(
        FrozenPart(classifier, (len(classifier.trunk.stage_names),)), outputs=("features",), size=recipe.images.size
    )
    train_ND = _features(run, learning.cache.pixels_NSS3, learning.train.slots_N)
    target_MD = _features(run, learning.target.cache.pixels_NSS3, learning.target.train.slots_N)
    view = _aligned(classifier, train_ND, target_MD, ridge)
    _fit_head(classifier, view.of(_standard(classifier, train_ND)), learning, recipe)
    plain = recipe.augmentation.model_copy(update={"average_mirrored": False})
    save_calibrated(
        classifier,
        learning,
        replace(recipe, augmentation=plain, model=linear),
        folder=folder,
        split_hash=split_hash,
        number_formats={},
        kind=KIND,
        view=view,
    )
    view.save(folder)


def _features(run: Runner, pixels_NSS3: NDArray[np.uint8], slots_n: NDArray[np.int64]) -> Tensor:
    chunks = [run(images)[0] for images in in_chunks(pixels_NSS3, slots_n, "Features to align")]
    return torch.from_numpy(np.concatenate(chunks))


def _aligned(classifier: Classifier, source_ND: Tensor, target_MD: Tensor, ridge: float) -> SourceView:
    """Let the model scale features as the target's are, and say what takes the source's features, so scaled, there."""
    there, here = classifier.standardise, Standardise(*classifier.standardise.widths)
    there.fit(target_MD)
    here.fit(source_ND)
    matrix_DD = recolouring(here(source_ND), there(target_MD), ridge=ridge)
    means, stds = ((here.mean.double(), there.mean.double()), (here.std.double(), there.std.double()))
    scale_D, shift_D = stds[1] / stds[0], (means[1] - means[0]) / stds[0]
    return SourceView((scale_D[:, None] * matrix_DD).numpy(), (shift_D @ matrix_DD).numpy())


def _standard(classifier: Classifier, features_ND: Tensor) -> NDArray[np.float64]:
    scaled_ND: NDArray[np.float64] = classifier.standardise(features_ND).double().numpy()
    return scaled_ND


def _fit_head(classifier: Classifier, aligned_ND: NDArray[np.float64], learning: LearningSet, recipe: Recipe) -> None:
    """The optimum of the mean (weighted) cross-entropy + l2/2 |W|^2, then without the weights' shift of the logits."""
    from sklearn.linear_model import LogisticRegression  # noqa: PLC0415 - only who aligns features should pay

    classes, labels_N, training = len(learning.classes), learning.train.labels_N, recipe.training
    l2 = max(training.finetune.head_l2, LEAST_L2) / (2 if classes == 2 else 1)  # of two classes |W|^2 is |w|^2 / 2
    regression = LogisticRegression(
        C=1 / (l2 * len(labels_N)), class_weight="balanced" if training.class_weights else None, max_iter=5000
    ).fit(aligned_ND, labels_N)
    weight_CD, bias_C = regression.coef_, regression.intercept_
    if classes == 2:
        weight_CD, bias_C = np.concatenate([-weight_CD, weight_CD]) / 2, np.concatenate([-bias_C, bias_C]) / 2
    (last,) = (module for module in classifier.head.modules() if isinstance(module, nn.Linear))
    with torch.no_grad():
        last.weight.copy_(torch.from_numpy(weight_CD))
        last.bias.copy_(torch.from_numpy(bias_C))
    if training.class_weights:
        undo_class_weights(classifier, class_weights(labels_N, classes))
