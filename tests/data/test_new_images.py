"""What kind of source a path is, and in whose words a sentence speaks."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from medical_transfer.config.dicom import Dicom
from medical_transfer.config.predict import Predict
from medical_transfer.data.new_images import KINDS, Wants, find_new_images, in_words_of, kind_of
from medical_transfer.types import UserError

WANTS = Wants(16, "pad", (0.0, 4000.0))


@pytest.fixture
def places(tmp_path: Path) -> dict[str, Path]:
    grey = np.zeros((3, 20, 20), np.uint8)
    np.savez(tmp_path / "scans.npz", images=grey, labels=["a", "b", "a"])
    (tmp_path / "pictures/train/sick").mkdir(parents=True)
    (tmp_path / "pictures/train/sick/p1_a.png").write_bytes(b"x")
    pd.DataFrame({"path": ["train/sick/p1_a.png"], "group": ["g"]}).to_csv(tmp_path / "list.csv", index=False)
    (tmp_path / "study/series").mkdir(parents=True)
    (tmp_path / "study/series/1.DCM").write_bytes(b"x")
    return {
        "npz": tmp_path / "scans.npz",
        "table": tmp_path / "list.csv",
        "folder": tmp_path / "pictures",
        "dicom": tmp_path / "study",
    }


def found(path: Path, **asked):
    wanted = Predict(images=path, **asked)
    return find_new_images(wanted, WANTS, packages=path, scratch=None, block="predict")


@pytest.mark.parametrize("kind", KINDS)
def test_the_path_tells_the_kind(places: dict[str, Path], kind: str) -> None:
    assert kind_of(Predict(images=places[kind]), "predict") == (kind, places[kind])


def test_images_are_read_as_the_model_wants_them(places: dict[str, Path]) -> None:
    images = found(places["folder"]).images
    assert (images.size, images.fit, images.sixteen_bit) == (16, "pad", (0.0, 4000.0))
    assert found(places["folder"], sixteen_bit="full").images.sixteen_bit == "full"


def test_subfolders_are_no_labels_but_names_may_tell_patients(places: dict[str, Path]) -> None:
    rows = found(places["folder"], group_pattern="p([0-9]+)").rows
    assert rows["path"].tolist() == ["train/sick/p1_a.png"]
    assert rows[["label", "split"]].isna().all(axis=None)
    assert rows["group_id"].tolist() == ["1"]
    assert rows["status"].tolist() == ["ok"]


def test_a_table_needs_no_labels_and_may_lie_elsewhere(places: dict[str, Path]) -> None:
    rows = found(places["table"], root=places["folder"]).rows
    assert rows["path"].tolist() == ["train/sick/p1_a.png"]
    assert rows["group_id"].tolist() == ["g"]


def test_dicom_is_read_as_in_training_and_hides_names(places: dict[str, Path], tmp_path: Path) -> None:
    window = Dicom(window_center=40, window_width=400)
    wanted = Predict(images=places["dicom"])
    new = find_new_images(wanted, WANTS._replace(dicom=window), packages=tmp_path, scratch=None, block="predict")
    assert new.images.dicom.window == (40, 400)
    assert "1.DCM" not in new.rows["path"].iloc[0]
    own = Dicom(salt=tmp_path / "salt")
    assert found(places["dicom"], dicom=own).images.dicom == own
    with pytest.raises(UserError, match=r"^predict\.kind=dicom reads groups from the files"):
        found(places["dicom"], group_pattern="(p)")


def test_labels_of_an_archive_are_kept(places: dict[str, Path]) -> None:
    assert found(places["npz"]).rows["label"].tolist() == ["a", "b", "a"]


@pytest.mark.parametrize(
    ("name", "asked", "sentence"),
    [
        ("nothing", {}, r"^predict\.images is .*nothing, which does not exist"),
        ("scan.png", {}, r"^predict\.images is .*scan\.png, expected a folder, a table .* by predict\.kind what it is"),
        ("scan.png", {"kind": "table"}, r"^predict\.images is .*scan\.png: expected a file that ends with"),
        ("scan.png", {"kind": "folder"}, r"^predict\.images is .*scan\.png, which is a file"),
    ],
)
def test_what_cannot_be_is_refused_by_its_parameter(tmp_path: Path, name: str, asked: dict, sentence: str) -> None:
    if name == "scan.png":
        (tmp_path / name).write_bytes(b"x")
    with pytest.raises(UserError, match=sentence):
        found(tmp_path / name, **asked)


def test_without_a_path_it_says_so() -> None:
    with pytest.raises(UserError, match=r"^validate\.images is not set"):
        kind_of(Predict(), "validate")


def test_sentences_of_readers_speak_of_the_block() -> None:
    told = "set images.root, images.sixteen_bit and images.table; /x/images.root/y stays"
    assert in_words_of("drift", told) == "set drift.images, drift.sixteen_bit and drift.table; /x/images.root/y stays"
    assert in_words_of("drift", "images.table or images.root", "table") == "drift.images or drift.root"
