"""What a study measures of a trial on a second site, after training: the only place where it reads labels from there.

Validation images of the target, without labels: scores of each epoch's predictions. Test images with their labels: the
accuracy of the model and of each epoch (by which nothing is chosen; it is what an oracle would know).
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from medical_transfer.config.adaptation import TARGET_SCORES as SHORT
from medical_transfer.data.cache import ImageCache
from medical_transfer.data.dataset import labelled_rows, unlabelled_rows
from medical_transfer.metrics.label_free import TARGET_SCORES
from medical_transfer.models.card import TrainedModel
from medical_transfer.runtime.seeds import generator
from medical_transfer.studies.adaptation_names import DISTANCE, TARGET_ACCURACY, of_epoch
from medical_transfer.studies.trials import Measured

HALF_95 = 1.959964


def measure_target(root: Path, handed: Mapping[str, Any], seed: int) -> list[Measured]:
    """Accuracy on the target, label-free scores and the proxy A-distance of a finished trial, and both of each epoch.

    Args:
        root: of the trial, with its model.
        handed: what it was given: manifests and images of both sites.
        seed: draws the halves of the fresh classifier.
    """
    model = TrainedModel(next((root / "06_models/finetuned").glob("*/model.json")).parent)
    manifest, cache = handed["target_manifest"], handed["target_image_cache"]
    found = [of_model(model, manifest, cache), *of_epochs(model, manifest, cache)]
    return [*found, distance(model, handed, seed)]


def of_model(model: TrainedModel, manifest: pd.DataFrame, cache: ImageCache) -> Measured:
    """Accuracy of the model that the trial chose."""
    from medical_transfer.evaluation.epochs import probabilities  # noqa: PLC0415 - brings torch
    from medical_transfer.models.checkpoint import load_checkpoint  # noqa: PLC0415

    tested = labelled_rows(manifest, cache, "test")
    return accuracy_of(probabilities(load_checkpoint(model.folder)[0], cache, tested.slots_N), tested.labels_N)


def of_epochs(model: TrainedModel, manifest: pd.DataFrame, cache: ImageCache) -> list[Measured]:
    """Label-free scores on validation images, and accuracy on test images, of every epoch."""
    from medical_transfer.evaluation.epochs import epoch_probabilities  # noqa: PLC0415 - brings torch

    judged, tested = unlabelled_rows(manifest, cache, "val"), labelled_rows(manifest, cache, "test")
    slots_n = np.concatenate([judged.slots_N, tested.slots_N])
    found: list[Measured] = []
    for epoch, (_, both_NC) in enumerate(epoch_probabilities(model, cache, slots_n), start=1):
        val_NC, test_NC = both_NC[: len(judged)], both_NC[len(judged) :]
        scores = {name: TARGET_SCORES[full](val_NC) for name, full in SHORT.items()}
        found += [Measured(of_epoch(epoch, name), score, None, None, len(val_NC)) for name, score in scores.items()]
        found.append(accuracy_of(test_NC, tested.labels_N, name=of_epoch(epoch, TARGET_ACCURACY)))
    return found


def accuracy_of(
    probabilities_NC: NDArray[np.float64], labels_N: NDArray[np.int64], *, name: str = TARGET_ACCURACY
) -> Measured:
    """Share of right answers with Wilson's 95 % interval (1927)."""
    n, share = len(labels_N), float((probabilities_NC.argmax(axis=1) == labels_N).mean())
    square = HALF_95**2 / n
    middle = (share + square / 2) / (1 + square)
    half = HALF_95 * float(np.sqrt(share * (1 - share) / n + square / (4 * n))) / (1 + square)
    return Measured(name, share, middle - half, middle + half, n)


def distance(model: TrainedModel, handed: Mapping[str, Any], seed: int) -> Measured:
    """Proxy A-distance of a fresh classifier between test images of the source and validation images of the target."""
    from medical_transfer.evaluation.embedded import embed_images  # noqa: PLC0415 - brings torch
    from medical_transfer.metrics.invariance import proxy_a_distance  # noqa: PLC0415

    here = unlabelled_rows(handed["manifest"], handed["image_cache"], "test")
    there = unlabelled_rows(handed["target_manifest"], handed["target_image_cache"], "val")
    source_ND = embed_images(model, handed["image_cache"], here.slots_N)
    target_MD = embed_images(model, handed["target_image_cache"], there.slots_N)
    found = proxy_a_distance(source_ND, target_MD, generator(seed, "invariance"))
    return Measured(DISTANCE, found, None, None, len(here) + len(there))
