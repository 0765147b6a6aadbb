"""Logits of a trained classifier for cached images, at flat memory."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from medical_transfer.models.classifier import Classifier
from medical_transfer.models.runner import fast_runner, in_chunks


def predict_logits(
    classifier: Classifier, pixels_NSS3: NDArray[np.uint8], slots_n: NDArray[np.int64]
) -> NDArray[np.float64]:
    """Logits (n, C) of the images in `slots_n`, in their order."""
    run = fast_runner(classifier, outputs=("logits",), size=pixels_NSS3.shape[1])
    chunks = [run(images)[0] for images in in_chunks(pixels_NSS3, slots_n, "Predicting")]
    return np.concatenate(chunks).astype(np.float64)
