from __future__ import annotations

import errno
import os
import re
import zipfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from medical_transfer.config.images import Images
from medical_transfer.data.cache import build_image_cache
from medical_transfer.data.readers import Reader, open_reader
from medical_transfer.data.zipped_arrays import ZippedArrays
from medical_transfer.types import UserError

NOWHERE = Path("packages")
GREY = np.arange(3 * 4 * 5, dtype=np.uint8).reshape(3, 4, 5)
LABELS = np.array([0, 1, 0])
OBJECTS = np.array([GREY[0], GREY[0, :2], None], dtype=object)

REFUSED = {
    # what is saved: (arrays, found, what to do)
    "scalar images": ({"images": np.uint8(3), "labels": LABELS}, r"images in .* has shape \(\)", "save the images as"),
    "flat images": ({"images": GREY[0], "labels": LABELS}, r"shape \(4, 5\)", r"\(images, height, width\)"),
    "channels first": ({"images": np.zeros((3, 3, 9, 9)), "labels": LABELS}, r"shape \(3, 3, 9, 9\)", "1 or 3"),
    "volumes": ({"images": np.zeros((3, 9, 9, 9, 1)), "labels": LABELS}, r"shape \(3, 9, 9, 9, 1\)", "1 or 3"),
    "object images": ({"images": OBJECTS, "labels": LABELS}, "images in .* holds object", "one size"),
    "text images": ({"images": np.array([[["a"]]]), "labels": LABELS[:1]}, "holds <U1", "expected numbers"),
    "complex images": ({"x": GREY * 1j, "y": LABELS}, "x in .* holds complex128", "expected numbers"),
    "no images": ({"images": GREY[:0], "labels": LABELS[:0]}, r"\['images'\] .*hold no image", "save at least one"),
    "two labels": ({"images": GREY, "labels": LABELS[:2]}, r"labels in .* shape \(2,\)", r"image of images: \(3,\)"),
    "one label": ({"images": GREY, "labels": 1}, r"labels in .* shape \(\)", "one label per image"),
    "one-hot": ({"train_images": GREY, "train_labels": np.eye(3)}, r"train_labels .*\(3, 3\)", "no one-hot"),
    "object labels": ({"images": GREY, "labels": np.array(["a", 1, None], object)}, "holds object", r"\.astype\(str\)"),
    "fractions": ({"images": GREY, "labels": np.array([0, 0.25, 1])}, "holds 0.25", "whole numbers or text"),
    "infinite": ({"images": GREY, "labels": np.array([0, np.inf, 1])}, "holds inf", "NaN where there is none"),
    "names run out": (
        {"images": GREY, "labels": LABELS + 1, "class_names": np.array(["a", "b"])},
        r"numbers 1 to 2, but class_names has 2 names \(0 to 1\)",
        "one name per class number",
    ),
    "negative": ({"images": GREY, "labels": LABELS - 1, "class_names": np.array(["a"])}, "-1 to 0", "one name per"),
    "scalar names": ({"images": GREY, "labels": LABELS, "class_names": "a"}, r"class_names .*shape \(\)", "a list of"),
    "few file names": ({"images": GREY, "labels": LABELS, "names": np.array(["a"])}, "1 names for 3 images", "one per"),
    "latin text": ({"images": GREY, "labels": np.array([b"\xe4"] * 3)}, "labels in .* no text in UTF-8", "astype"),
}


def reader_of(path: Path, **arrays) -> Reader:
    np.savez(path, **arrays)
    return open_reader(Images(kind="npz", root=path), NOWHERE)


@pytest.mark.parametrize("name", REFUSED)
def test_arrays_that_are_no_images_or_labels_are_one_sentence(name, tmp_path):
    arrays, found, remedy = REFUSED[name]
    with pytest.raises(UserError, match=f"(?s){found}.*{remedy}") as refused:
        reader_of(tmp_path / "a.npz", **arrays).find()
    assert str(tmp_path / "a.npz") in str(refused.value)
    assert "\n" not in str(refused.value)


@pytest.mark.parametrize(
    ("labels", "names", "expected"),
    [
        (np.array([0, 1, 0]), None, ["0", "1", "0"]),
        (np.array([[0], [1], [0]], np.uint8), ["hand", "head"], ["hand", "head", "hand"]),
        (np.array([0.0, np.nan, 1.0]), ["hand", "head"], ["hand", None, "head"]),
        (np.array([np.nan, 7, np.nan], np.float32), None, [None, "7", None]),
        (np.array([False, True, False]), ["no", "yes"], ["no", "yes", "no"]),
        (np.array(["b", "", "a"]), None, ["b", None, "a"]),
        (np.array(["ä".encode(), b"b", b"b"]), None, ["ä", "b", "b"]),
    ],
)
def test_labels_are_numbers_or_text_and_nan_is_a_missing_one(labels, names, expected, tmp_path):
    named = {} if names is None else {"class_names": np.array(names)}
    found = reader_of(tmp_path / "a.npz", images=GREY, labels=labels, **named).find()
    assert [None if pd.isna(label) else label for label in found["label"]] == expected


def test_pickled_arrays_beside_the_images_do_not_matter(tmp_path):
    assert len(reader_of(tmp_path / "a.npz", images=GREY, labels=LABELS, patients=OBJECTS).find()) == 3


@settings(max_examples=40, deadline=None)
@given(
    compressed=st.booleans(),
    fortran=st.booleans(),
    dtype=st.sampled_from(["u1", ">u2", "<f4", "?"]),
    shape=st.tuples(st.integers(1, 5), st.integers(1, 6), st.integers(1, 6), st.sampled_from([1, 3])),
)
def test_every_image_is_read_as_numpy_would(compressed, fortran, dtype, shape, tmp_path_factory):
    file = tmp_path_factory.mktemp("npz") / "a.npz"
    images = np.random.default_rng(0).integers(0, 2 if dtype == "?" else 200, shape).astype(dtype)
    more = images[:, ::-1, ::-1]
    arrays = {"train_images": np.asfortranarray(images) if fortran else images, "test_images": more}
    (np.savez_compressed if compressed else np.savez)(file, **arrays)
    reader = open_reader(Images(kind="npz", root=file), NOWHERE, need_labels=False)
    paths = reader.find()["path"].tolist()
    with ThreadPoolExecutor(4) as pool:
        read = list(pool.map(reader.read, paths))
    for image, expected in zip(read, [*images, *more], strict=True):
        np.testing.assert_array_equal(image, expected)
        assert image.dtype == expected.dtype


def on_disk(values: np.ndarray) -> bool:
    base = values
    while isinstance(base, np.ndarray):
        if isinstance(base, np.memmap):
            return True
        base = base.base
    return False


@pytest.mark.parametrize("save", [np.savez, np.savez_compressed])
def test_pixels_are_mapped_from_disk_and_leave_nothing_behind(save, tmp_path):
    save(tmp_path / "a.npz", images=GREY, labels=LABELS)
    reader = open_reader(Images(kind="npz", root=tmp_path / "a.npz"), NOWHERE, scratch_folder=tmp_path)
    assert on_disk(reader.read(reader.find()["path"].iloc[0]))
    assert [path.name for path in tmp_path.iterdir()] == ["a.npz"]


def test_the_map_is_made_once_whatever_the_threads(tmp_path, monkeypatch):
    calls = []
    mapped = ZippedArrays.mapped
    monkeypatch.setattr(ZippedArrays, "mapped", lambda self, name: calls.append(name) or mapped(self, name))
    reader = reader_of(tmp_path / "a.npz", images=GREY, labels=LABELS)
    paths = reader.find()["path"].tolist()
    assert calls == []
    with ThreadPoolExecutor(4) as pool:
        list(pool.map(reader.read, paths * 10))
    assert calls == ["images"]


def test_damage_is_one_sentence_when_the_pixels_are_read(tmp_path):
    pixels = np.tile(GREY, (1, 50, 50))  # more than zipfile reads ahead with the header
    np.savez(tmp_path / "a.npz", images=pixels, labels=LABELS)
    content = bytearray((tmp_path / "a.npz").read_bytes())
    content[bytes(content).index(pixels.tobytes()) + pixels.size - 1] ^= 1
    (tmp_path / "a.npz").write_bytes(content)
    images = Images(kind="npz", root=tmp_path / "a.npz", size=16)
    with pytest.raises(UserError, match=r"a\.npz cannot be read as \.npz .*CRC"):
        build_image_cache(images, NOWHERE, tmp_path / "caches")


def header(shape: str) -> bytes:
    told = f"{{'descr': '|u1', 'fortran_order': False, 'shape': {shape}}}"
    return b"\x93NUMPY\x01\x00\x76\x00" + told.ljust(117).encode() + b"\n"  # 128 bytes


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"no numpy", "magic"),
        (header("(3, 4, 5)"), "128 bytes, its header promises 188"),
        (header("(-2, -1, 4)"), "-2"),
    ],
)
def test_headers_that_lie_are_refused_before_any_pixel(content, words, tmp_path):
    with zipfile.ZipFile(tmp_path / "a.npz", "w") as archive:
        archive.writestr("images.npy", content)
    with pytest.raises(UserError, match=f"cannot be read as .npz .*{re.escape(words)}"):
        open_reader(Images(kind="npz", root=tmp_path / "a.npz"), NOWHERE, need_labels=False).find()


def test_no_space_to_expand_is_one_sentence(tmp_path, monkeypatch):
    def full(*_):
        raise OSError(errno.ENOSPC, "No space left on device")

    np.savez_compressed(tmp_path / "a.npz", images=GREY, labels=LABELS)
    reader = open_reader(Images(kind="npz", root=tmp_path / "a.npz"), NOWHERE, scratch_folder=tmp_path)
    paths = reader.find()["path"]
    monkeypatch.setattr(os, "posix_fallocate", full, raising=False)
    with pytest.raises(UserError, match="No space left while writing"):
        reader.read(paths[0])
