from __future__ import annotations

import copy
import errno
import pickle
import shutil
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from medical_transfer.config.images import Images
from medical_transfer.data import cache as cache_module
from medical_transfer.data import decode as decode_module
from medical_transfer.data.cache import ImageCache, build_image_cache
from medical_transfer.types import AUDIT_COLUMNS, UserError


def coloured(*colour: int) -> Image.Image:
    """A picture of a colour, and a blue corner without which there would be nothing to see."""
    picture = Image.new("RGB", (30, 20), colour)
    picture.paste((0, 0, 255), (20, 10, 30, 20))
    return picture


@pytest.fixture
def root(tmp_path: Path) -> Path:
    for index in range(6):
        folder = tmp_path / "images" / ("no", "yes")[index % 2]
        folder.mkdir(parents=True, exist_ok=True)
        coloured(index, 0, 0).save(folder / f"{index}.png")
    (tmp_path / "images" / "yes" / "broken.png").write_bytes(b"broken")
    return tmp_path / "images"


def build(root: Path, **fields) -> ImageCache:
    images = Images(**{"kind": "folder", "root": root, "size": 16} | fields)
    return build_image_cache(images, root.parent / "packages", root.parent / "caches")


def test_audit_pixels_and_meta_belong_together(root):
    cache = build(root)
    assert cache.audit.columns.tolist() == list(AUDIT_COLUMNS)
    assert cache.audit["status"].value_counts().to_dict() == {"ok": 6, "quarantined": 1}
    assert {key: cache.meta[key] for key in ("n", "size", "fit", "sixteen_bit", "key")} == {
        "n": 7,
        "size": 16,
        "fit": "squash",
        "sixteen_bit": "quarantine",
        "key": cache.folder.name,
    }
    assert cache.key == cache.folder.name
    by_path = cache.audit.set_index("path")
    slots_N = cache.slots([by_path.loc["yes/5.png", "image_id"], by_path.loc["no/2.png", "image_id"]])
    assert slots_N.dtype == np.int64
    assert cache.pixels_NSS3[slots_N, 0, 0].tolist() == [[5, 0, 0], [2, 0, 0]]
    assert isinstance(cache.pixels_NSS3, np.memmap)
    with pytest.raises(ValueError, match="read-only"):
        cache.pixels_NSS3[0] = 1


@pytest.mark.parametrize("unknown", ["nobody", "", "0", "8" * 16, "8" * 20, "größer"])
def test_an_unknown_image_is_one_sentence(root, unknown):
    cache = build(root)
    known = cache.audit["image_id"].iloc[0]
    with pytest.raises(UserError, match=rf"1 of 2 images \(first: {unknown}\) are not in the image cache"):
        cache.slots([known, unknown])
    assert cache.slots([]).tolist() == []


def test_each_image_is_decoded_once_and_never_again(root, monkeypatch):
    calls = []
    original = decode_module._square
    monkeypatch.setattr(decode_module, "_square", lambda *a: calls.append(1) or original(*a))
    first = build(root)
    assert len(calls) == 6
    assert build(root).folder == first.folder
    assert len(calls) == 6


def test_what_makes_no_other_pixels_makes_no_other_cache(root):
    moved = shutil.copytree(root, root.parent / "moved")
    key = build(root).key
    for fields in ({"workers": 3}, {"licence": "CC0"}, {"positive_class": "yes"}):
        assert build(root, **fields).key == key
    assert build(moved).key == key


def test_what_makes_other_pixels_or_rows_makes_another_cache(root):
    changes = [
        {},
        {"size": 17},
        {"fit": "pad"},
        {"sixteen_bit": "full"},
        {"sixteen_bit": (0, 1)},
        {"max_pixels": 5},
        {"classes": {"yes": "tumour"}},
        {"group_block": 2},
        {"group_pattern": "(.)"},
        {"site": "north"},
        {"limit": 4},
    ]
    keys = [build(root, **fields).key for fields in changes]
    coloured(99, 0, 0).save(root / "yes" / "1.png")
    keys.append(build(root).key)
    (root / "yes" / "new.png").write_bytes(b"new")
    keys.append(build(root).key)
    assert len(set(keys)) == len(keys)


def test_prediction_has_a_cache_of_its_own(root):
    coloured(0, 0, 0).save(root / "yes" / "0.png")  # also in `no`
    images = Images(kind="folder", root=root, size=16)
    folders = (root.parent / "packages", root.parent / "caches")
    learned, seen = (build_image_cache(images, *folders, need_labels=need) for need in (True, False))
    assert learned.key != seen.key
    assert [(cache.audit["status"] == "ok").sum() for cache in (learned, seen)] == [5, 7]


def test_the_seed_counts_only_where_it_draws(root):
    images = Images(kind="folder", root=root, size=16)
    folders = (root.parent / "packages", root.parent / "caches")
    assert build_image_cache(images, *folders, seed=1).key == build_image_cache(images, *folders, seed=2).key


def test_the_handle_is_small_and_survives_a_copy(root):
    cache = build(root)
    assert cache.pixels_NSS3 is not None
    assert len(pickle.dumps(cache)) < 1000
    for other in (pickle.loads(pickle.dumps(cache)), copy.deepcopy(cache)):
        assert other == cache
        assert isinstance(other.pixels_NSS3, np.memmap)
    frame = cache.audit
    frame.loc[0, "label"] = "changed"
    assert cache.audit.loc[0, "label"] != "changed"


def test_no_images_are_an_empty_cache(tmp_path):
    cache = build_image_cache(Images(kind="none", size=16), tmp_path, tmp_path / "caches")
    assert cache.pixels_NSS3.shape == (0, 16, 16, 3)
    assert cache.audit.columns.tolist() == list(AUDIT_COLUMNS)
    assert cache.slots([]).shape == (0,)


def test_a_killed_build_is_taken_up_and_ends_the_same(root, monkeypatch):
    whole = build(root, size=20)
    pixels_NSS3, frame = np.array(whole.pixels_NSS3), whole.audit
    shutil.rmtree(whole.folder)
    original, calls = decode_module._square, []

    def dies(*arguments):
        calls.append(1)
        if len(calls) == 3:
            raise KeyboardInterrupt
        return original(*arguments)

    monkeypatch.setattr(decode_module, "_square", dies)
    with pytest.raises(KeyboardInterrupt):
        build(root, size=20, workers=1)
    assert not whole.folder.exists()
    monkeypatch.setattr(decode_module, "_square", original)
    again = build(root, size=20)
    np.testing.assert_array_equal(again.pixels_NSS3, pixels_NSS3)
    pd.testing.assert_frame_equal(again.audit, frame)


def test_a_full_disk_is_known_before_decoding(root, monkeypatch):
    def full(*_):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(cache_module.os, "posix_fallocate", full, raising=False)
    with pytest.raises(UserError, match="No space left"):
        build(root, size=18)
    usage = shutil.disk_usage(root)._replace(free=1000)
    monkeypatch.setattr(cache_module.shutil, "disk_usage", lambda _: usage)
    with pytest.raises(UserError, match="No space left"):
        build(root, size=19)


def test_passed_over_images_take_no_space(root):
    for index in range(200):
        Image.new("L", (4, 4), index).save(root / "no" / f"more{index}.png")
    cache = build(root, limit=4, size=256)
    stat = (cache.folder / "pixels.npy").stat()
    assert stat.st_size > 200 * 256 * 256 * 3
    assert stat.st_blocks * 512 < 20 * 256 * 256 * 3
