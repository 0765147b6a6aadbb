"""Predictions of the networks that a training passed through, where `training.keep_epochs` had them kept."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from medical_transfer.data.cache import ImageCache
from medical_transfer.models.card import EPOCHS, TrainedModel
from medical_transfer.models.checkpoint import load_checkpoint
from medical_transfer.models.weight_files import read_tensors

ROWS_AT_ONCE = 500


def epoch_probabilities(
    model: TrainedModel, cache: ImageCache, slots_n: NDArray[np.int64]
) -> Iterator[tuple[str, NDArray[np.float64]]]:
    """Name of each kept epoch, in their order, and its class probabilities (n, C) of cached images, uncalibrated."""
    classifier, _ = load_checkpoint(model.folder)
    for path in sorted((model.folder / EPOCHS).glob("*.safetensors")):
        classifier.load_state_dict(read_tensors(path))
        yield path.stem, probabilities(classifier.eval(), cache, slots_n)


def probabilities(classifier: nn.Module, cache: ImageCache, slots_n: NDArray[np.int64]) -> NDArray[np.float64]:
    """Softmax (n, C) of cached images, in their order."""
    found = []
    with torch.inference_mode():
        for start in range(0, len(slots_n), ROWS_AT_ONCE):
            pixels_nSS3 = torch.from_numpy(cache.pixels_NSS3[slots_n[start : start + ROWS_AT_ONCE]])
            found.append(classifier(pixels_nSS3.permute(0, 3, 1, 2).float() / 255).double().softmax(dim=1))
    return torch.cat(found).numpy()
