from __future__ import annotations

import errno
import tempfile
from pathlib import Path

import pytest
import torch

import toy
from medical_transfer.training.checkpoint_io import WholeFiles
from medical_transfer.training.fit import fit
from medical_transfer.types import UserError


def test_what_is_written_is_read_by_torch(tmp_path):
    content = {"epoch": 3, "weights": torch.arange(5.0)}
    WholeFiles().save_checkpoint(content, tmp_path / "deep" / "last.ckpt")
    found = torch.load(tmp_path / "deep" / "last.ckpt", weights_only=True)
    assert found["epoch"] == 3
    assert torch.equal(found["weights"], content["weights"])
    assert [path.name for path in (tmp_path / "deep").iterdir()] == ["last.ckpt"]


def test_a_full_disk_keeps_the_checkpoint_before(tmp_path, monkeypatch):
    path = tmp_path / "last.ckpt"
    WholeFiles().save_checkpoint({"epoch": 1}, path)

    def half(self, content):
        with self.open("wb") as file:
            file.write(bytes(content)[:10])
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(Path, "write_bytes", half)
    with pytest.raises(UserError, match=r"No space left while writing .*last\.ckpt"):
        WholeFiles().save_checkpoint({"epoch": 2}, path)
    assert torch.load(path, weights_only=True) == {"epoch": 1}
    assert list(tmp_path.iterdir()) == [path]


def test_training_writes_nothing_outside_its_folder(tmp_path, monkeypatch):
    outside = tmp_path / "temporary"
    outside.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(outside))
    monkeypatch.setattr(tempfile, "mkstemp", None)  # Lightning's own way goes through it
    method = toy.finetune(toy.classifier(), head_epochs=1, epochs=1)
    fit(method, toy.Problem(method.classifier), training=toy.config(), seed=0, folder=tmp_path / "run", name="toy")
    assert (tmp_path / "run" / "trunk" / "last.ckpt").exists()
    assert not list(outside.iterdir())
