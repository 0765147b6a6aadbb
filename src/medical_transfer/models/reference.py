"""What a trained model saw, kept beside its weights: features of training and validation images, to judge new ones by.

A new image is novel, and a new batch has drifted, beside these. They are numbers of the last layer's input, not
pictures, but still derived from patients: they go where the model goes.

Shapes: N training and M validation images, H features, C classes.
"""

from __future__ import annotations

from dataclasses import dataclass, fields
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from safetensors import SafetensorError
from safetensors.numpy import load_file, save_file

from medical_transfer.models.card import ModelCard, remedy
from medical_transfer.runtime.files import atomic_path, explain_full_disk, sha256_of
from medical_transfer.types import UserError

REFERENCE_FILE = "reference.safetensors"
MOST_IMAGES = 1000
"""So many training and validation images at most: more hardly change distances, and each costs a forward pass."""
FEWEST_OF_A_CLASS = 20
"""Training images of each class that the draw keeps where it has them."""


@dataclass(frozen=True, eq=False)
class Reference:
    """What the last layer saw (float32) and said; labels are class numbers, groups are patients or near-duplicates."""

    train_ND: NDArray[np.float32]
    train_labels_N: NDArray[np.int64]
    train_groups_N: NDArray[np.int64]
    val_MD: NDArray[np.float32]
    val_labels_M: NDArray[np.int64]
    val_groups_M: NDArray[np.int64]
    val_logits_MC: NDArray[np.float32]
    """Before the temperature, averaged over mirror images as predictions are."""


def drawn_rows(labels_N: NDArray[np.int64], rng: np.random.Generator, most: int = MOST_IMAGES) -> NDArray[np.int64]:
    """Row numbers, ascending, of about `most` rows drawn at random, classes in their own shares, rare ones kept."""
    order_N = rng.permutation(len(labels_N))
    kept = [order_N[:most]]
    kept += [order_N[labels_N[order_N] == label][:FEWEST_OF_A_CLASS] for label in np.unique(labels_N)]
    return np.unique(np.concatenate(kept))


def write_reference(folder: Path, reference: Reference) -> str:
    """Write the file, whole or not at all; return its sha256."""
    arrays = {each.name: np.ascontiguousarray(getattr(reference, each.name)) for each in fields(Reference)}
    path = folder / REFERENCE_FILE
    with atomic_path(path) as temporary, explain_full_disk(path):
        save_file(arrays, temporary)
    return sha256_of(path)


def read_reference(folder: Path, card: ModelCard) -> Reference | None:
    """What the model in a folder saw; None where it was saved without.

    Raises:
        UserError: the file is missing, damaged, or another one than the card says.
    """
    if not card.reference_sha256:
        return None
    path = folder / REFERENCE_FILE
    if not path.is_file():
        raise UserError(f"{path} is missing: {remedy(folder)}")
    if sha256_of(path) != card.reference_sha256:
        raise UserError(f"{path} has another sha256 than the card says, so it is damaged: {remedy(folder)}")
    try:
        return Reference(**load_file(path))
    except (SafetensorError, TypeError) as error:
        raise UserError(f"{path} is no file of this version ({error}): {remedy(folder)}") from error
