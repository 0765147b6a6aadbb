from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from pydantic import BaseModel

from medical_transfer.runtime import stage
from medical_transfer.runtime.files import read_json
from medical_transfer.runtime.stage import Spent, content_key, drain_spent, once, seconds_spent
from medical_transfer.types import UserError

SOURCE = Path(__file__).parents[2] / "src"

SLOW = """
import sys, time
from pathlib import Path
from medical_transfer.runtime.stage import once

def compute(folder):
    (folder / "piece").write_text("kept")
    (Path(sys.argv[1]) / "started").touch()
    time.sleep(float(sys.argv[2]))
    (folder / "result").write_text(sys.argv[3])

once(Path(sys.argv[1]), "key", compute)
"""


def slow(root: Path, wait_s: float, text: str) -> subprocess.Popen:
    return subprocess.Popen(
        [sys.executable, "-c", SLOW, str(root), str(wait_s), text],
        env=os.environ | {"PYTHONPATH": str(SOURCE)},
    )


def wait_for(path: Path) -> None:
    deadline = time.monotonic() + 60
    while not path.exists():
        assert time.monotonic() < deadline, f"{path} did not come"
        time.sleep(0.02)


def test_it_is_computed_once_and_marked_last(tmp_path):
    calls = []

    def compute(folder):
        calls.append(folder)
        assert not (tmp_path / "key").exists()
        (folder / "result").write_text("x")
        assert not (folder / stage.MARK).exists()

    folder = once(tmp_path, "key", compute)
    assert folder == tmp_path / "key" == once(tmp_path, "key", compute)
    assert len(calls) == 1
    assert (folder / "result").read_text() == "x"
    assert read_json(folder / stage.MARK)["key"] == "key"
    assert 0 <= seconds_spent(folder) < 5
    assert not (tmp_path / "key.partial").exists()


def test_what_failed_is_gone_on_from(tmp_path):
    def fails(folder):
        (folder / "piece").write_text("kept")
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        once(tmp_path, "key", fails)
    assert not (tmp_path / "key").exists()
    folder = once(tmp_path, "key", lambda folder: (folder / "result").write_text((folder / "piece").read_text()))
    assert (folder / "result").read_text() == "kept"


def test_a_killed_process_leaves_its_pieces_and_no_lock(tmp_path):
    process = slow(tmp_path, 60, "never")
    wait_for(tmp_path / "started")
    process.send_signal(signal.SIGKILL)
    assert process.wait(timeout=20) == -signal.SIGKILL
    assert not (tmp_path / "key").exists()
    folder = once(tmp_path, "key", lambda folder: (folder / "result").write_text((folder / "piece").read_text()))
    assert (folder / "result").read_text() == "kept"


def test_a_second_process_waits_and_reuses(tmp_path):
    process = slow(tmp_path, 0.7, "theirs")
    wait_for(tmp_path / "started")
    assert not (tmp_path / "key").exists()
    folder = once(tmp_path, "key", lambda _: pytest.fail("computed twice"))
    assert (folder / "result").read_text() == "theirs"
    assert process.wait(timeout=20) == 0


def test_a_full_disk_names_the_folder(tmp_path):
    def full(folder):
        raise OSError(28, "No space left on device")

    with pytest.raises(UserError, match=r"No space left while writing .*key"):
        once(tmp_path, "key", full)


def test_what_was_computed_and_what_was_reused_is_told_once(tmp_path):
    drain_spent()

    def outer(folder):
        once(tmp_path, "inner", lambda _: time.sleep(0.05))

    for _ in range(2):
        once(tmp_path, "outer", outer)
    cost = {name: seconds_spent(tmp_path / name) for name in ("inner", "outer")}
    assert cost["outer"] >= cost["inner"] >= 0.05
    assert drain_spent() == [
        Spent(tmp_path / "inner", cost["inner"], reused=False),
        Spent(tmp_path / "outer", cost["outer"], reused=False),
        Spent(tmp_path / "outer", cost["outer"], reused=True),  # its own alone: the inner one is part of it
    ]
    assert drain_spent() == []


class Shape(BaseModel):
    size: int = 1


@pytest.fixture
def package(tmp_path, monkeypatch):
    folder = tmp_path / "toy_package_of_a_key"
    (folder / "deep").mkdir(parents=True)
    for name in ("__init__.py", "a.py", "deep/__init__.py", "deep/b.py"):
        (folder / name).write_text(f"raise RuntimeError('{name} was imported')\n")
    (tmp_path / "toy_module_of_a_key.py").write_text("x = 1\n")
    (folder / "README.md").write_text("words")
    monkeypatch.syspath_prepend(tmp_path)
    return folder


def key(inputs=None, size=1, modules=("toy_package_of_a_key",)) -> str:
    return content_key(inputs=inputs or {"data": "abc"}, parameters=[Shape(size=size)], modules=modules)


def test_a_key_is_16_digits_and_forgets_the_order_of_names(package):
    assert len(key()) == 16
    assert int(key(), 16) >= 0
    assert key({"a": 1, "b": 2}) == key({"b": 2, "a": 1})


def test_what_changes_a_key(package):
    first = key()
    assert key({"data": "abd"}) != first
    assert key(size=2) != first
    assert key(modules=["toy_module_of_a_key"]) != first
    (package / "deep" / "b.py").write_text("y = 2\n")
    assert key() != first


def test_what_does_not_change_a_key(package):
    first = key()
    (package / "README.md").write_text("other words")
    (package.parent / "toy_module_of_a_key.py").write_text("x = 2\n")
    (package / "deep" / "b.pyc").write_bytes(b"compiled")
    assert key() == first


def test_a_module_alone_is_its_own_text(package):
    before = key(modules=["toy_module_of_a_key"])
    (package / "a.py").write_text("z = 3\n")
    assert key(modules=["toy_module_of_a_key"]) == before
    with pytest.raises(ModuleNotFoundError, match="named as part of a content key"):
        key(modules=["toy_module_that_is_not_there"])


@pytest.mark.parametrize("damage", ["missing", "cut", "mark"])
def test_a_damaged_result_is_computed_again(tmp_path, damage) -> None:
    def compute(folder) -> None:
        (folder / "inner").mkdir()
        (folder / "inner" / "numbers.txt").write_text("1 2 3")

    folder = stage.once(tmp_path, "key", compute)
    place = folder / "inner" / "numbers.txt"
    if damage == "missing":
        place.unlink()
    elif damage == "cut":
        place.write_text("1")
    else:
        (folder / stage.MARK).write_text("")
    assert stage.once(tmp_path, "key", compute) == folder
    assert place.read_text() == "1 2 3"
