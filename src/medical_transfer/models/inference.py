"""Logits of a trained classifier for cached images, at flat memory."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from scipy.special import log_softmax, logsumexp
from torch import Tensor

from medical_transfer.config.augmentation import Symmetry
from medical_transfer.data.augment import FLIPPED_AXES
from medical_transfer.models.classifier import Classifier
from medical_transfer.models.runner import Runner, fast_runner, in_chunks


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
