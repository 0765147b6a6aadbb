from __future__ import annotations

import hashlib
import io
import os
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from medical_transfer.config.images import Images
from medical_transfer.data import audit as audit_module
from medical_transfer.data.ahead import AHEAD_PER_WORKER, in_order
from medical_transfer.data.audit import audit, will_be_read
from medical_transfer.data.folders import fingerprint
from medical_transfer.data.manifest import manifest_rows
from medical_transfer.data.tables import found_frame, text
from medical_transfer.types import AUDIT_COLUMNS


class MemoryReader:
    """Files in memory; counts how often each is read."""

    def __init__(self, files: dict[str, bytes | np.ndarray | Exception]) -> None:
        self.files = files
        self.reads: list[str] = []

    def find(self) -> pd.DataFrame:
        return found_frame(self.files, [path[0] for path in self.files])

    def read(self, path: str) -> bytes | np.ndarray:
        self.reads.append(path)
        content = self.files[path]
        if isinstance(content, Exception):
            raise content
        return content

    def fingerprint(self) -> str:
        return "memory"


def png(grey: int) -> bytes:
    """A grey picture, and a corner without which there would be nothing to see."""
    picture = Image.new("L", (16, 16), grey)
    picture.putpixel((15, 15), 255)
    buffer = io.BytesIO()
    picture.save(buffer, "PNG")
    return buffer.getvalue()


def run(reader: MemoryReader, images: Images) -> tuple[pd.DataFrame, np.ndarray]:
    rows = manifest_rows(reader.find(), images)
    pixels_NSS3 = np.zeros((len(rows), 16, 16, 3), dtype=np.uint8)
    return audit(rows, reader, images, pixels_NSS3), pixels_NSS3


def test_row_i_is_slot_i_each_file_read_once_whatever_the_workers():
    files = {f"{'ab'[i % 2]}/{i}.png": png(i) if i % 7 else b"broken" for i in range(60)}
    frames = []
    for workers in (1, 5):
        reader = MemoryReader(files)
        frame, pixels_NSS3 = run(reader, Images(size=16, workers=workers))
        assert sorted(reader.reads) == sorted(files)
        assert pixels_NSS3[:, 3, 3, 1].tolist() == [i if i % 7 else 0 for i in range(60)]
        frames.append(frame)
    pd.testing.assert_frame_equal(*frames)
    assert frames[0].columns.tolist() == list(AUDIT_COLUMNS)
    assert frames[0]["path"].tolist() == list(files)


def test_threads_are_as_many_as_cores_that_this_process_may_use(monkeypatch):
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: {0, 3, 5}, raising=False)
    monkeypatch.setattr(os, "cpu_count", lambda: 64)
    asked = []

    def pool(workers):
        asked.append(workers)
        return ThreadPoolExecutor(workers)

    monkeypatch.setattr("medical_transfer.data.ahead.ThreadPoolExecutor", pool)
    run(MemoryReader({"a/1.png": png(1)}), Images(size=16))
    fingerprint(Path(), (), workers=None)
    assert asked == [3, 3]


def test_the_hash_is_of_the_bytes_or_of_array_type_and_shape_too():
    flat, square, wide = np.zeros((4, 4), np.uint8), np.zeros((2, 8), np.uint8), np.zeros((4, 4), bool)
    reader = MemoryReader({"a/1": png(1), "a/2": flat, "a/3": square, "a/4": wide})
    hashes = run(reader, Images(size=16))[0]["sha256"].tolist()
    assert hashes[0] == hashlib.sha256(png(1)).hexdigest()
    assert len(set(hashes)) == 4


@pytest.mark.parametrize(
    ("error", "reason"),
    [
        (PermissionError(13, "Permission denied", "/secret/place"), "no permission to read"),
        (FileNotFoundError(2, "No such file", "/secret/place"), "file not found"),
        (OSError(5, "Input/output error", "/secret/place"), "cannot be read: Input/output error"),
        (ValueError("embedded null byte"), "cannot be read: embedded null byte"),
        (MemoryError(), "too large for the memory of this machine"),
    ],
)
def test_a_failing_read_is_a_reason_without_the_place(error, reason):
    frame, _ = run(MemoryReader({"a/1": error, "b/2": png(1)}), Images(size=16))
    assert frame["status"].tolist() == ["quarantined", "ok"]
    assert frame["reason"].iloc[0] == reason
    assert frame[["sha256", "phash", "width", "height", "mode"]].iloc[0].isna().all()


def test_a_fault_of_ours_is_not_hidden_as_a_bad_image():
    with pytest.raises(ZeroDivisionError):
        run(MemoryReader({"a/1": ZeroDivisionError()}), Images(size=16))


def test_passed_over_rows_are_not_read_and_dropped_ones_are():
    reader = MemoryReader({f"{'abc'[i % 3]}/{i}": png(i) for i in range(30)})
    frame, _ = run(reader, Images(size=16, limit=4, classes={"c": None}))
    assert len(reader.reads) == 4 + 10
    assert frame["sha256"].notna().sum() == 14
    assert (frame["status"] == "ok").all()
    assert (frame["split"] == "excluded").sum() == 26


def test_the_same_bytes_under_two_labels_name_both_files_and_labels():
    files = {"a/1": png(1), "b/2": png(2), "b/3": png(1), "a/4": png(2), "c/5": png(1), "a/6": png(1), "b/7": png(3)}
    frame, pixels_NSS3 = run(MemoryReader(files | {"d/8": png(3)}), Images(size=16, classes={"d": None}))
    told = dict(zip(frame["path"], frame["reason"], strict=True))
    assert told["a/1"] == told["a/6"] == "labelled 'a', but the same bytes as b/3, labelled 'b'"
    assert told["b/3"] == "labelled 'b', but the same bytes as a/1, labelled 'a'"
    assert told["c/5"] == "labelled 'c', but the same bytes as a/1, labelled 'a'"
    assert told["b/2"] == "labelled 'b', but the same bytes as a/4, labelled 'a'"
    assert frame["status"].tolist() == ["quarantined"] * 6 + ["ok"] * 2  # a dropped class contradicts nobody
    assert pixels_NSS3[:, 0, 0, 0].tolist() == [0] * 6 + [3] * 2


def test_the_same_bytes_under_one_label_or_where_labels_do_not_matter_are_fine():
    reader = MemoryReader({"a/1": png(1), "a/2": png(1), "b/3": png(2)})
    assert (run(reader, Images(size=16))[0]["status"] == "ok").all()
    rows = manifest_rows(found_frame(["1", "2"], ["a", "b"]), Images())
    pixels_NSS3 = np.zeros((2, 16, 16, 3), np.uint8)
    both = MemoryReader({"1": png(1), "2": png(1)})
    frame = audit(rows, both, Images(size=16), pixels_NSS3, need_labels=False)
    assert (frame["status"] == "ok").all()


def test_facts_gathered_in_parts_stand_in_their_rows(monkeypatch):
    files = {f"{'ab'[i % 2]}/{i}": png(i) if i % 4 else b"broken" for i in range(50)}
    images = Images(size=16, limit=30, classes={"b": "B"})  # rows that are not read stand between
    whole, _ = run(MemoryReader(files), images)
    assert whole["sha256"].isna().sum() == 20
    for at_once in (1, 7, 30, 31):
        monkeypatch.setattr(audit_module, "FACTS_AT_ONCE", at_once)
        pd.testing.assert_frame_equal(run(MemoryReader(files), images)[0], whole)
    read = whole[whole["sha256"].notna()]
    assert read["sha256"].tolist() == [hashlib.sha256(files[path]).hexdigest() for path in read["path"]]


def test_own_columns_follow():
    reader = MemoryReader({"a/1": png(1)})
    rows = manifest_rows(reader.find().assign(age=61), Images())
    frame = audit(rows, reader, Images(size=16), np.zeros((1, 16, 16, 3), np.uint8))
    assert frame.columns.tolist() == [*AUDIT_COLUMNS, "age"]


def test_no_rows_no_work():
    frame, _ = run(MemoryReader({}), Images(size=16))
    assert frame.empty
    assert frame.columns.tolist() == list(AUDIT_COLUMNS)
    assert will_be_read(frame.assign(reason=text([]))).shape == (0,)


@settings(max_examples=30, deadline=None)
@given(count=st.integers(0, 60), workers=st.integers(1, 4))
def test_results_come_in_order_and_only_a_little_ahead(count, workers):
    started, taken, lock = [0], [0], threading.Lock()
    most_ahead = []

    def work(item):
        with lock:
            started[0] += 1
            most_ahead.append(started[0] - taken[0])
        return item * item

    results = []
    for result in in_order(work, range(count), workers=workers):
        results.append(result)
        with lock:
            taken[0] += 1
    assert results == [item * item for item in range(count)]
    assert max(most_ahead, default=0) <= workers * AHEAD_PER_WORKER


def test_the_fingerprint_asks_for_few_files_at_once(tmp_path, monkeypatch):
    asked, ahead = [0], []

    def places():
        for number in range(100):
            asked[0] += 1
            yield str(number), tmp_path / str(number)

    def hashed(place):
        ahead.append(asked[0] - int(place.name))
        return place.name

    for number in range(100):
        (tmp_path / str(number)).touch()
    monkeypatch.setattr("medical_transfer.data.folders.sha256_of", hashed)
    lines = "".join(f"{number}\0{number}\0" for number in range(100))
    assert fingerprint(tmp_path, places(), workers=2) == hashlib.sha256(lines.encode()).hexdigest()
    assert max(ahead) <= 2 * AHEAD_PER_WORKER
