"""Handles to folders: what is stored is where the folder is, and a folder that is not whole is refused."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from medical_transfer.data.cache import ImageCache
from medical_transfer.datasets.checkpoint import CheckpointDataset
from medical_transfer.datasets.image_cache import NO_CACHE, ImageCacheDataset, TargetImageCacheDataset
from medical_transfer.models.card import TrainedModel
from medical_transfer.types import UserError

KINDS = {
    "image cache": (ImageCacheDataset, ImageCache),
    "second site's": (TargetImageCacheDataset, ImageCache),
    "checkpoint": (CheckpointDataset, TrainedModel),
}


@pytest.fixture
def whole(tmp_path: Path) -> Path:
    folder = tmp_path / "run/things/0123"
    folder.mkdir(parents=True)
    (folder / "complete.json").write_text("{}", encoding="utf-8")
    return folder


@pytest.mark.parametrize("kind", KINDS)
def test_saved_and_loaded_is_the_same_folder(kind: str, whole: Path, tmp_path: Path) -> None:
    dataset, handle = KINDS[kind]
    pointer = dataset(filepath=str(tmp_path / "run/pointer.json"))
    assert not pointer.exists()
    pointer.save(handle(whole))
    assert pointer.exists()
    assert pointer.load() == handle(tmp_path / "run/things/0123")


def test_a_second_site_may_have_no_cache(tmp_path: Path) -> None:
    pointer = TargetImageCacheDataset(filepath=str(tmp_path / "run/pointer.json"))
    pointer.save(NO_CACHE)
    assert json.loads((tmp_path / "run/pointer.json").read_text(encoding="utf-8")) == {"folder": None}
    assert pointer.load() == NO_CACHE


def test_a_moved_run_still_finds_its_folder(whole: Path, tmp_path: Path) -> None:
    ImageCacheDataset(filepath=str(tmp_path / "run/pointer.json")).save(ImageCache(whole))
    shutil.move(tmp_path / "run", tmp_path / "moved")
    assert ImageCacheDataset(filepath=str(tmp_path / "moved/pointer.json")).load().folder.parts[-3:] == (
        "moved",
        "things",
        "0123",
    )


def test_a_shared_folder_elsewhere_is_named_in_full(whole: Path, tmp_path: Path) -> None:
    pointer = tmp_path / "other/pointer.json"
    ImageCacheDataset(filepath=str(pointer)).save(ImageCache(whole))
    assert json.loads(pointer.read_text(encoding="utf-8")) == {"folder": str(whole.resolve())}


def test_a_folder_without_its_mark_is_refused(whole: Path, tmp_path: Path) -> None:
    pointer = CheckpointDataset(filepath=str(tmp_path / "run/pointer.json"))
    pointer.save(TrainedModel(whole))
    (whole / "complete.json").unlink()
    with pytest.raises(Exception, match="missing or incomplete: run its stage again") as caught:
        pointer.load()
    assert isinstance(caught.value, UserError) or isinstance(caught.value.__cause__, UserError)
