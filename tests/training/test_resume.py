"""Killed anywhere, the same command ends with the same numbers."""

from __future__ import annotations

from pathlib import Path

import killed_run
import pandas as pd
import pytest
from safetensors.torch import load_file

from forked import forked
from medical_transfer.runtime.files import read_json
from medical_transfer.training import callbacks
from medical_transfer.training import fit as fit_module


class Killed(BaseException):
    """Like a signal: nothing below catches it."""


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    """Folder of a run that nobody stopped."""
    folder = tmp_path_factory.mktemp("whole")
    killed_run.train(folder)
    return folder


def assert_same(found: Path, expected: Path) -> None:
    ours, theirs = (pd.DataFrame(read_json(f / "history.json")).drop(columns="seconds") for f in (found, expected))
    pd.testing.assert_frame_equal(ours, theirs, check_exact=True)
    assert read_json(found / "best.json") == read_json(expected / "best.json")
    weights, other = (load_file(f / "best.safetensors") for f in (found, expected))
    assert weights.keys() == other.keys()
    for name, tensor in weights.items():
        assert tensor.numpy().tobytes() == other[name].numpy().tobytes(), name


def killed_at(monkeypatch, owner, name, when):
    """Let a method of the trainer die just before it does its work, the first time that `when` holds."""
    original, lives = getattr(owner, name), [1]

    def dying(*arguments):
        if lives and when(*arguments):
            lives.pop()
            raise Killed
        return original(*arguments)

    monkeypatch.setattr(owner, name, dying)
    return lives


def phase_epoch(phase, epoch):
    return lambda _, trainer, module, *rest: (module.phase.name, trainer.current_epoch) == (phase, epoch)


PLACES = {  # place -> what dies, when, and how many of the 3 + 3 epochs are left to do
    "before anything": (callbacks.History, "on_train_epoch_start", phase_epoch("head", 0), 6),
    "first best, before the first checkpoint": (
        callbacks.StopEarly,
        "on_train_epoch_end",
        phase_epoch("head", 0),
        6,
    ),
    "middle of the head's second epoch": (
        callbacks.StopOnNaN,
        "on_train_batch_end",
        lambda *a: phase_epoch("head", 1)(*a) and a[-1] == 1,
        5,
    ),
    "before the history": (callbacks.History, "on_train_epoch_end", phase_epoch("head", 2), 4),
    "before the head is marked done": (fit_module, "write_json", lambda path, _: path.name == "head.done.json", 3),
    "between history and weights": (callbacks.KeepBest, "on_train_epoch_end", phase_epoch("trunk", 0), 3),
    "best of the trunk, before its first checkpoint": (
        callbacks.StopEarly,
        "on_train_epoch_end",
        phase_epoch("trunk", 0),
        3,
    ),
    "between weights and checkpoint": (callbacks.StopEarly, "on_train_epoch_end", phase_epoch("trunk", 1), 2),
    "between epochs": (callbacks.History, "on_train_epoch_start", phase_epoch("trunk", 2), 1),
    "before the trunk is marked done": (fit_module, "write_json", lambda path, _: path.name == "trunk.done.json", 0),
}


@pytest.mark.parametrize("place", PLACES)
def test_killed_and_started_again_it_ends_the_same(place, whole, tmp_path, monkeypatch):
    *where, left = PLACES[place]
    with monkeypatch.context() as patch:
        lives = killed_at(patch, *where)
        with pytest.raises(Killed):
            killed_run.train(tmp_path)
        assert not lives
    epochs = counted_epochs(monkeypatch)
    killed_run.train(tmp_path)
    assert len(epochs) == left
    assert_same(tmp_path, whole)


def counted_epochs(monkeypatch):
    epochs, original = [], callbacks.History.on_train_epoch_start

    def counting(self, trainer, module):
        epochs.append((module.phase.name, trainer.current_epoch))
        original(self, trainer, module)

    monkeypatch.setattr(callbacks.History, "on_train_epoch_start", counting)
    return epochs


def test_patience_that_was_used_up_stays_used_up(tmp_path, monkeypatch):
    def train(folder):
        with monkeypatch.context() as patch:
            patch.setitem(killed_run.SETTINGS, "head_epochs", 9)
            patch.setattr(killed_run.toy.FineTune, "selection", lambda *_: 0.5)
            patch.setattr(callbacks, "merit", lambda selection, _: (selection, 0.0))
            killed_run.train(folder)

    train(tmp_path / "whole")
    rows = read_json(tmp_path / "whole" / "history.json")
    assert sum(row["phase"] == "head" for row in rows) == 4  # the first, then a patience of 3
    killed_at(monkeypatch, *PLACES["before the head is marked done"][:3])
    with pytest.raises(Killed):
        train(tmp_path / "killed")
    train(tmp_path / "killed")
    assert_same(tmp_path / "killed", tmp_path / "whole")


GRADUAL = {"unfreezing": "gradual", "epochs": 5}
"""The head's three epochs, then one, one, one and two as stage after stage thaws."""


@pytest.fixture(scope="module")
def whole_gradual(tmp_path_factory):
    folder = tmp_path_factory.mktemp("whole_gradual")
    killed_run.train(folder, **GRADUAL)
    assert read_json(folder / "best.json")["phase"] == "thaw_2", "or no kill is between best weights and checkpoint"
    return folder


BETWEEN = {  # place -> what dies, when, and the epochs that are left to do
    "before a thaw is marked done": (fit_module, "write_json", lambda path, _: path.name == "thaw_1.done.json", "234"),
    "before the next one begins": (fit_module, "_begin", lambda _, phase, __: phase.name == "thaw_2", "234"),
    "before its first weights are kept": (
        fit_module,
        "write_tensors",
        lambda _, path: path.parent.name == "thaw_3",
        "34",
    ),
    "when a thaw has the best weights and no checkpoint": (
        callbacks.StopEarly,
        "on_train_epoch_end",
        phase_epoch("thaw_2", 0),
        "234",
    ),
    "between the last one's epochs": (callbacks.History, "on_train_epoch_start", phase_epoch("thaw_4", 1), "4"),
}


@pytest.mark.parametrize("place", BETWEEN)
def test_killed_between_thaws_it_ends_the_same(place, whole_gradual, tmp_path, monkeypatch):
    *where, left = BETWEEN[place]
    with monkeypatch.context() as patch:
        lives = killed_at(patch, *where)
        with pytest.raises(Killed):
            killed_run.train(tmp_path, **GRADUAL)
        assert not lives
    epochs = counted_epochs(monkeypatch)
    killed_run.train(tmp_path, **GRADUAL)
    plan = ["thaw_1", "thaw_2", "thaw_3", "thaw_4", "thaw_4"]
    assert [name for name, _ in epochs] == plan[-len(epochs) :]
    assert {name for name, _ in epochs} == {f"thaw_{number}" for number in left}
    assert_same(tmp_path, whole_gradual)


def test_a_finished_run_is_not_trained_again(whole, monkeypatch):
    monkeypatch.setattr(fit_module, "_run", None)
    before = (whole / "history.json").read_bytes()
    killed_run.train(whole)
    assert (whole / "history.json").read_bytes() == before


def test_a_process_killed_by_the_system_goes_on(whole, tmp_path, monkeypatch):
    dead = forked(killed_run.__file__, str(tmp_path), "trunk", "1")
    assert dead.returncode == -9, dead.stderr
    assert len(read_json(tmp_path / "history.json")) == 4  # three epochs of the head, one of the trunk
    epochs = counted_epochs(monkeypatch)
    killed_run.train(tmp_path)
    assert epochs == [("trunk", 1), ("trunk", 2)]
    assert_same(tmp_path, whole)
