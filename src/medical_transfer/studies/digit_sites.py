"""MNIST and MNIST-M as two sites that share no digit: one npz file each, with given splits.

Every image of MNIST-M at hand was made from a training digit of MNIST, whose number its name begins with. The source is
drawn from the other training digits, validated on further ones and tested on MNIST's own test digits; the target is cut
at random into images to learn from, to choose by and to judge by. So no digit is met twice, on whatever ground.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from medical_transfer.config.study_adaptation import StudyAdaptation
from medical_transfer.data.mnist import Mnist, read_mnist, with_margin
from medical_transfer.runtime.files import sha256_of
from medical_transfer.runtime.provenance import SETS_BESIDE
from medical_transfer.runtime.seeds import generator
from medical_transfer.runtime.stage import content_key, once
from medical_transfer.types import UserError

MODULES = ("medical_transfer.studies.digit_sites", "medical_transfer.data.mnist")
SIDE = 32
SOURCE_JUDGED = 1_000
"""Source digits for validation, and as many test digits."""
BESIDE = SETS_BESIDE / "mnist_m_train15k.npz"
"""Where MNIST-M is looked for where nothing else is said."""
HOW = "put mnist_m_train15k.npz there, or name your file in study_adaptation.target"

Arrays = dict[str, NDArray[Any]]


def digit_sites(study: StudyAdaptation, packages_folder: Path, root: Path) -> tuple[Path, Path]:
    """The files of source and target below `root`, written where they are not there yet.

    Raises:
        UserError: MNIST-M is missing, is not what it should be, or has too few images.
    """
    held = study.target or BESIDE
    if not held.is_file():
        raise UserError(f"MNIST-M is looked for in {held}, which is no file: {HOW}.")
    inputs = {"target": sha256_of(held), "source": study.source_images, "parts": list(study.target_images)}

    def compute(folder: Path) -> None:
        target, numbers_N = read_target(held)
        mnist = read_mnist(packages_folder)
        check_made_from(mnist.train_labels_N, target["labels"], numbers_N)
        rng = generator(0, "study/digit sites")
        np.savez(folder / "source.npz", **source_arrays(mnist, numbers_N, study.source_images, rng))  # type: ignore[arg-type]
        np.savez(folder / "target.npz", **target_arrays(target, study.target_images, rng))  # type: ignore[arg-type]

    folder = once(root, content_key(inputs=inputs, parameters=[], modules=list(MODULES)), compute)
    return folder / "source.npz", folder / "target.npz"


def read_target(path: Path) -> tuple[Arrays, NDArray[np.int64]]:
    """Images (N, 32, 32, 3) uint8 and labels (N,) of MNIST-M, and the numbers (N,) of the digits they were made from.

    Raises:
        UserError: arrays or numbers are missing, or images have another size.
    """
    with np.load(path, allow_pickle=False) as held:
        if missing := sorted({"images", "labels", "names"} - set(held)):
            raise UserError(f"{path} has no {', '.join(missing)}, so it is not MNIST-M as it is expected: {HOW}.")
        images, labels, names = held["images"], held["labels"], held["names"]
    if images.shape[1:] != (SIDE, SIDE, 3):
        raise UserError(f"{path} holds images of shape {images.shape[1:]}, expected {(SIDE, SIDE, 3)}.")
    found = [re.match(r"\d+", str(name)) for name in names]
    if None in found:
        raise UserError(f"{path} has names without the number of their digit, like {names[found.index(None)]!r}.")
    numbers_N = np.array([int(each.group()) for each in found if each], dtype=np.int64)
    return {"images": images, "labels": labels.astype(np.int64)}, numbers_N


def check_made_from(
    mnist_labels_K: NDArray[np.int64], labels_N: NDArray[np.int64], numbers_N: NDArray[np.int64]
) -> None:
    """Refuse numbers that are not those of the digits: each image must have the label of its digit.

    Raises:
        UserError: says how many differ.
    """
    if numbers_N.max() >= len(mnist_labels_K) or (wrong := int((mnist_labels_K[numbers_N] != labels_N).sum())):
        told = "go beyond MNIST's training digits" if numbers_N.max() >= len(mnist_labels_K) else f"{wrong} times name"
        raise UserError(
            f"The names of study_adaptation.target {told} a digit of another label, so they do not say which digits to "
            "leave out of the source: name a file whose names begin with MNIST's numbers."
        )


def source_arrays(mnist: Mnist, taken_N: NDArray[np.int64], count: int, rng: np.random.Generator) -> Arrays:
    """Training and validation digits of which no target image was made, and test digits, at 32 pixels.

    Raises:
        UserError: there are fewer than asked for.
    """
    free = np.setdiff1d(np.arange(len(mnist.train_NSS)), taken_N)
    judged = min(SOURCE_JUDGED, len(mnist.test_MSS))
    if count + judged > len(free):
        raise UserError(
            f"study_adaptation.source_images is {count}, but {len(free)} digits have no image in the target, of which "
            f"{judged} are for validation: lower it to {len(free) - judged}."
        )
    drawn = rng.permutation(free)[: count + judged]
    tested = rng.permutation(len(mnist.test_MSS))[:judged]
    train, val = drawn[:count], drawn[count:]
    return {
        "train_images": with_margin(mnist.train_NSS[train]),
        "train_labels": mnist.train_labels_N[train],
        "val_images": with_margin(mnist.train_NSS[val]),
        "val_labels": mnist.train_labels_N[val],
        "test_images": with_margin(mnist.test_MSS[tested]),
        "test_labels": mnist.test_labels_M[tested],
    }


def target_arrays(target: Arrays, parts: tuple[int, int, int], rng: np.random.Generator) -> Arrays:
    """The target's images and labels in three parts.

    Raises:
        UserError: there are fewer than asked for.
    """
    count = len(target["labels"])
    if sum(parts) > count:
        raise UserError(
            f"study_adaptation.target_images asks for {sum(parts)} images, but there are {count}: lower it."
        )
    order = rng.permutation(count)
    starts = np.cumsum((0, *parts))
    return {
        f"{split}_{name}": target[name][order[first:last]]
        for split, first, last in zip(("train", "val", "test"), starts, starts[1:], strict=False)
        for name in ("images", "labels")
    }
