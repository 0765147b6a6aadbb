"""Logits of a trained classifier, and what its last layer sees, at flat memory."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.special import log_softmax, logsumexp
from torch import Tensor, nn

from medical_transfer.config.augmentation import Symmetry
from medical_transfer.data.augment import FLIPPED_AXES
from medical_transfer.models.classifier import Classifier
from medical_transfer.models.runner import Runner, fast_runner, in_chunks

Look = Callable[[Tensor, Sequence[Symmetry]], tuple[NDArray[np.float64], NDArray[np.float32]]]
"""From images (N, 3, S, S) in [0, 1], and mirror images to average over, to logits (N, C) and features (N, H)."""


class WithFeatures(nn.Module):
    """A classifier that gives its logits and also what its last layer sees."""

    def __init__(self, classifier: Classifier) -> None:
        super().__init__()
        self.classifier = classifier

    def forward(self, images: Tensor) -> tuple[Tensor, Tensor]:
        """Logits (N, C) and features (N, H) of images (N, 3, S, S) in [0, 1]."""
        embedded = self.classifier.embed(images, 0)
        return self.classifier.classify(embedded), embedded


def looking(classifier: Classifier, size: int, images: int | None = None) -> Look:
    """A function to logits as those of `predict_logits`, and features of the images as they are, not mirrored.

    `images`: how many it will be shown, where that is known.
    """
    both = fast_runner(WithFeatures(classifier).eval(), outputs=("logits", "features"), size=size, images=images)

    def look(images: Tensor, symmetries: Sequence[Symmetry]) -> tuple[NDArray[np.float64], NDArray[np.float32]]:
        logits_NC, features_NH = both(images)
        mirrored = [both(images.flip(FLIPPED_AXES[symmetry]))[0] for symmetry in symmetries]
        if not mirrored:
            return logits_NC.astype(np.float64), features_NH
        return mean_probability(np.stack([logits_NC, *mirrored]).astype(np.float64)), features_NH

    return look


def look_at(
    look: Look, pixels_NSS3: NDArray[np.uint8], slots_n: NDArray[np.int64], symmetries: Sequence[Symmetry] = ()
) -> tuple[NDArray[np.float64], NDArray[np.float32]]:
    """Logits (n, C) and features (n, H) of the images in `slots_n`, in their order."""
    seen = [look(images, symmetries) for images in in_chunks(pixels_NSS3, slots_n, "Looking")]
    logits, features = zip(*seen, strict=True)
    return np.concatenate(logits), np.concatenate(features)


@torch.no_grad()
def classify_features(classifier: Classifier, features_NH: NDArray[np.floating]) -> NDArray[np.float64]:
    """Logits (N, C) of what the last layer of a classifier in eval mode sees (N, H)."""
    logits_NC: NDArray[np.float64] = classifier.classify(torch.from_numpy(features_NH).float()).double().numpy()
    return logits_NC


def predict_logits(
    classifier: Classifier,
    pixels_NSS3: NDArray[np.uint8],
    slots_n: NDArray[np.int64],
    symmetries: Sequence[Symmetry] = (),
) -> NDArray[np.float64]:
    """Logits (n, C) of the images in `slots_n`, in their order.

    With `symmetries` the logarithm of the probabilities' mean over an image and these mirror images of it, which a
    softmax turns into that mean: test-time augmentation where every view is as true as the image itself.
    """
    run = fast_runner(classifier, outputs=("logits",), size=pixels_NSS3.shape[1])
    chunks = [_logits(run, images, symmetries) for images in in_chunks(pixels_NSS3, slots_n, "Predicting")]
    return np.concatenate(chunks)


def _logits(run: Runner, images_N3SS: Tensor, symmetries: Sequence[Symmetry]) -> NDArray[np.float64]:
    mirrored = (images_N3SS.flip(FLIPPED_AXES[symmetry]) for symmetry in symmetries)
    logits_VNC = np.stack([run(view)[0] for view in (images_N3SS, *mirrored)]).astype(np.float64)
    return logits_VNC[0] if len(logits_VNC) == 1 else mean_probability(logits_VNC)


def mean_probability(logits_VNC: NDArray[np.float64]) -> NDArray[np.float64]:
    """Logarithm (N, C) of the mean over views of the softmax of their logits."""
    logarithm_NC: NDArray[np.float64] = logsumexp(log_softmax(logits_VNC, axis=2), axis=0) - np.log(len(logits_VNC))
    return logarithm_NC
