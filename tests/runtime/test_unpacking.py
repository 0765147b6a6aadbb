"""An archive is unpacked once, whole or not at all, and never beside its folder."""

from __future__ import annotations

import io
import tarfile
from pathlib import Path

import pytest

from medical_transfer.runtime.unpacking import unpacked
from medical_transfer.types import UserError


def pack(archive: Path, members: dict[str, bytes], mode: str = "w", link: str | None = None) -> Path:
    with tarfile.open(archive, mode) as tar:
        for name, content in members.items():
            info = tarfile.TarInfo(name)
            info.size = len(content)
            tar.addfile(info, io.BytesIO(content))
        if link:
            info = tarfile.TarInfo("set/link")
            info.type, info.linkname = tarfile.SYMTYPE, link
            tar.addfile(info)
    return archive


def test_once_and_anew_when_the_archive_is_another_one(tmp_path: Path) -> None:
    archive = pack(tmp_path / "set.tar", {"set/a/1.png": b"one"})
    folder = unpacked(archive, tmp_path / "here")
    assert (folder / "set/a/1.png").read_bytes() == b"one"
    before = (folder / "complete.json").stat().st_mtime_ns
    assert unpacked(archive, tmp_path / "here") == folder
    assert (folder / "complete.json").stat().st_mtime_ns == before
    (folder / "set/a/1.png").unlink()
    assert (unpacked(archive, tmp_path / "here") / "set/a/1.png").exists(), "a member that is gone is unpacked again"
    other = unpacked(pack(archive, {"set/a/1.png": b"two"}), tmp_path / "here")
    assert other != folder
    assert (other / "set/a/1.png").read_bytes() == b"two"


@pytest.mark.parametrize("name", ["../out.png", "{outside}/out.png", "set/../../out.png"])
def test_no_member_leaves_the_folder(tmp_path: Path, name: str) -> None:
    place = tmp_path / "deep/here"
    archive = pack(tmp_path / "set.tar", {"set/1.png": b"1", name.format(outside=tmp_path): b"evil"})
    try:
        unpacked(archive, place)
    except UserError as error:
        assert "would write outside" in str(error)
    outside = [path for path in tmp_path.rglob("out.png") if not path.is_relative_to(place)]
    assert outside == []


def test_no_link_leads_out(tmp_path: Path) -> None:
    archive = pack(tmp_path / "set.tar", {"set/1.png": b"1"}, link="../../../etc")
    with pytest.raises(UserError, match="would write outside its folder"):
        unpacked(archive, tmp_path / "here")
    assert not list((tmp_path / "here").glob("*/complete.json"))


@pytest.mark.parametrize("content", [b"no archive at all", b""])
def test_what_is_no_archive_is_said_in_a_sentence(tmp_path: Path, content: bytes) -> None:
    archive = tmp_path / "set.tar"
    archive.write_bytes(content)
    with pytest.raises(UserError, match=r"set\.tar is no readable tar archive"):
        unpacked(archive, tmp_path / "here")


def test_a_compressed_archive_is_not_taken(tmp_path: Path) -> None:
    archive = pack(tmp_path / "set.tar", {"set/1.png": b"1"}, mode="w:gz")
    with pytest.raises(UserError, match="no readable tar archive"):
        unpacked(archive, tmp_path / "here")
