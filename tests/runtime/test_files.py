from __future__ import annotations

import errno
import hashlib
import json
import math
import os
import subprocess
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import save_file

from medical_transfer.runtime.files import (
    atomic_path,
    explain_full_disk,
    read_json,
    scratch_array,
    sha256_of,
    take_space,
    without_nan,
    write_json,
)
from medical_transfer.types import UserError


def test_a_file_takes_its_name_only_when_it_is_whole(tmp_path):
    path = tmp_path / "deep" / "x.txt"
    with atomic_path(path) as temporary:
        temporary.write_text("new")
        assert temporary.parent == path.parent  # the same disk, so that the rename is one step
        assert not path.exists()
    assert path.read_text() == "new"
    with pytest.raises(ZeroDivisionError), atomic_path(path) as temporary:
        temporary.write_text("half")
        _ = 1 / 0
    assert path.read_text() == "new"
    assert [found.name for found in path.parent.iterdir()] == ["x.txt"]


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EDQUOT])
def test_a_full_disk_is_one_sentence(tmp_path, number):
    path = tmp_path / "x.bin"
    path.write_text("old")
    sentence = r"^No space left while writing .*x\.bin\. .* give the same command again"
    with pytest.raises(UserError, match=sentence), atomic_path(path) as temporary:
        temporary.write_text("half")
        raise OSError(number, os.strerror(number))
    assert path.read_text() == "old"


def test_other_errors_keep_their_name(tmp_path):
    with pytest.raises(PermissionError), explain_full_disk(tmp_path):
        raise PermissionError(errno.EACCES, "no")
    with pytest.raises(KeyError), explain_full_disk(tmp_path):
        raise KeyError("os error 29")
    with pytest.raises(UserError, match=r"^mine$"), explain_full_disk(tmp_path):
        raise UserError("mine")


@pytest.fixture
def tiny_disk(tmp_path):
    """A disk of 256 KiB, where the test may make one."""
    folder = tmp_path / "tiny"
    folder.mkdir()
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=256k", "tmpfs", str(folder)], capture_output=True, check=False
    )
    if mounted.returncode:
        pytest.skip("mounting a small disk is not permitted here")
    yield folder
    subprocess.run(["umount", str(folder)], check=True)


def sparse(path: Path) -> None:
    np.lib.format.open_memmap(path, mode="w+", dtype=np.float32, shape=(1_000_000,))
    take_space(path)


WRITERS = {
    "json": lambda path: path.write_text(json.dumps([0.5] * 1_000_000)),
    "safetensors": lambda path: save_file({"x": torch.zeros(1_000_000)}, path),
    "numpy": lambda path: np.save(path.with_suffix(".npy"), np.zeros(1_000_000)),
    "memory map": sparse,
}


@pytest.mark.parametrize("writer", WRITERS)
def test_a_disk_that_is_really_full(tiny_disk, writer):
    with pytest.raises(UserError, match="No space left while writing"), explain_full_disk(tiny_disk / "x"):
        WRITERS[writer](tiny_disk / "x")


def test_taken_space_is_there(tmp_path):
    path = tmp_path / "x.npy"
    empty = np.lib.format.open_memmap(path, mode="w+", dtype=np.uint8, shape=(1_000_000,))
    take_space(path)
    assert path.stat().st_blocks * 512 >= 1_000_000
    assert not np.load(path, mmap_mode="r").any()
    assert empty.shape == (1_000_000,)
    (tmp_path / "empty").touch()
    take_space(tmp_path / "empty")


def test_a_scratch_array_is_a_map_and_leaves_nothing_behind(tmp_path):
    array = scratch_array((3, 5), np.int16, tmp_path)
    assert not array.any()
    array[1] = 7
    assert array.sum() == 35
    assert isinstance(array.base, np.memmap)
    assert list(tmp_path.iterdir()) == []
    assert scratch_array((0, 5), np.int16, tmp_path / "nowhere").shape == (0, 5)
    assert scratch_array((2,), np.uint8, tmp_path / "nowhere").tolist() == [0, 0]


def test_a_scratch_array_takes_its_space_at_once(tiny_disk):
    with pytest.raises(UserError, match="No space left while writing"):
        scratch_array((300, 1024), np.uint8, tiny_disk)


def test_json_without_nan(tmp_path):
    content = {"a": [1.5, math.nan, (math.inf, -math.inf)], "b": {"c": "NaN", "d": None, "e": 3}}
    expected = {"a": [1.5, None, [None, None]], "b": {"c": "NaN", "d": None, "e": 3}}
    assert without_nan(content) == expected
    write_json(tmp_path / "x.json", content)
    assert json.loads((tmp_path / "x.json").read_text(), parse_constant=pytest.fail) == expected
    assert read_json(tmp_path / "x.json") == expected


def test_checksum_against_hashlib(tmp_path):
    content = os.urandom(300_000)
    (tmp_path / "x").write_bytes(content)
    assert sha256_of(tmp_path / "x") == hashlib.sha256(content).hexdigest()


def test_a_full_disk_is_known_through_what_a_library_wraps_around_it(tmp_path) -> None:
    with pytest.raises(UserError, match="No space left"), explain_full_disk(tmp_path):
        raise RuntimeError("failed while saving") from OSError(errno.ENOSPC, "full")
