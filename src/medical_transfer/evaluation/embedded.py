"""What the last layer of a trained network sees of images: the features that adaptation was to bring together."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from torch import Tensor, nn

from medical_transfer.data.cache import ImageCache
from medical_transfer.models.card import TrainedModel
from medical_transfer.models.checkpoint import load_checkpoint
from medical_transfer.models.classifier import Classifier
from medical_transfer.models.runner import Runner, fast_runner, in_chunks


class Embedding(nn.Module):
    """A classifier without its last layer."""

    def __init__(self, classifier: Classifier) -> None:
        super().__init__()
        self.classifier = classifier

    def forward(self, images: Tensor) -> Tensor:
        """Features (N, H) of images (N, 3, S, S) in [0, 1]."""
        return self.classifier.embed(images, 0)


def embedder(model: TrainedModel, *, size: int) -> Runner:
    """What gives a model's features of images of `size` pixels; the network is prepared once."""
    classifier, _ = load_checkpoint(model.folder)
    return fast_runner(Embedding(classifier).eval(), outputs=("features",), size=size)


def embed_images(model: TrainedModel | Runner, cache: ImageCache, slots_n: NDArray[np.int64]) -> NDArray[np.float64]:
    """Features (n, H) of cached images, in their order, by a model or by what `embedder` made of it."""
    pixels_NSS3 = cache.pixels_NSS3
    run = embedder(model, size=pixels_NSS3.shape[1]) if isinstance(model, TrainedModel) else model
    return np.concatenate([run(images)[0] for images in in_chunks(pixels_NSS3, slots_n, "Features")]).astype(np.float64)
