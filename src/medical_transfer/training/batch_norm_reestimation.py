"""AdaBN: a trained model with the second site's batch norm statistics, and nothing else changed.

Source: Li et al. 2017, "Revisiting Batch Normalization for Practical Domain Adaptation". Temperature and threshold stay
those of the source's images under the source's statistics, and so does what new images are held against. The scale of
features before the head is no batch norm and stays too.
"""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np

from medical_transfer.layers.batch_statistics import reestimate, tracking_norms
from medical_transfer.models.card import TrainedModel
from medical_transfer.models.checkpoint import load_checkpoint, save_checkpoint
from medical_transfer.models.reference import REFERENCE_FILE
from medical_transfer.models.runner import CHUNK, as_images
from medical_transfer.training.learning_set import UnlabelledSet
from medical_transfer.types import DoesNotApplyError

KIND = "batch_norm"


def reestimate_batch_norm(trained: TrainedModel, target: UnlabelledSet, folder: Path) -> None:
    """Save a copy of a model with the statistics of the target's training images.

    Raises:
        DoesNotApplyError: where its network has no batch norm.
    """
    classifier, card = load_checkpoint(trained.folder)
    if not tracking_norms(classifier):
        raise DoesNotApplyError(f"{card.architecture} has no batch norm that keeps statistics")
    slots_n = target.train.slots_N
    batches = np.array_split(slots_n, -(-len(slots_n) // CHUNK))
    reestimate(classifier, (as_images(target.cache.pixels_NSS3[batch]) for batch in batches))
    if card.reference_sha256:
        shutil.copyfile(trained.folder / REFERENCE_FILE, folder / REFERENCE_FILE)
    save_checkpoint(folder, classifier, card.model_copy(update={"kind": KIND}))
