"""What ends a study, what is said of a failed trial, and which parameters a trial has."""

from __future__ import annotations

import errno
from pathlib import Path

import pytest

from medical_transfer.config.folders import Folders
from medical_transfer.hooks.this_session import SessionFacts
from medical_transfer.studies.attempt import is_end, sentence_of
from medical_transfer.studies.inner_session import merged
from medical_transfer.studies.place import Place
from medical_transfer.studies.trials import Done, Trial, from_json, to_json
from medical_transfer.types import UserError


def caused(error: BaseException, cause: BaseException) -> BaseException:
    error.__cause__ = cause
    return error


@pytest.mark.parametrize(
    ("error", "end"),
    [
        (UserError("The loss became nan."), False),
        (ValueError("anything"), False),
        (caused(UserError("Training was stopped from outside"), SystemExit(143)), True),
        (caused(RuntimeError("dataset"), caused(UserError("stopped"), SystemExit())), True),
        (caused(UserError("No space left"), OSError(errno.ENOSPC, "No space left on device")), True),
        (OSError(errno.ENOENT, "No such file"), False),
    ],
    ids=str,
)
def test_what_ends_a_study(error, end):
    assert is_end(error) is end


def test_the_sentence_of_a_failure():
    assert sentence_of(caused(RuntimeError("wrapped"), UserError("Do this."))) == "Do this."
    assert sentence_of(ValueError("two\n lines")) == "ValueError: two lines"


def test_what_a_trial_is_handed_has_its_seed_for_a_name_or_one_of_its_own():
    assert Trial("m", "s", 3).handed == 3
    assert Trial("m", "s", 3, reads="ct/lite0/3").handed == "ct/lite0/3"
    done = Done("key", Trial("m", "s", 3, {"a": {"b": 1}}, reads="x"), 1.0, ())
    assert from_json(to_json(done)) == done
    old = to_json(done)
    del old["trial"]["reads"]
    assert from_json(old).trial.handed == 3, "trials that were finished before there were such names"


def test_nested_parameters_go_over_one_another():
    low, high = {"a": {"b": 1, "c": [1, 2]}, "d": 1}, {"a": {"c": [3], "e": {"f": 2}}, "g": None}
    assert merged(low, high) == {"a": {"b": 1, "c": [3], "e": {"f": 2}}, "d": 1, "g": None}
    assert low == {"a": {"b": 1, "c": [1, 2]}, "d": 1}
    assert merged({"a": {"b": 1}}, {"a": 2}) == {"a": 2}


def test_a_trial_writes_below_its_root_and_reads_what_the_run_has(tmp_path: Path):
    names = ("packages", "images", "features", "scores", "models", "predictions", "audits")
    folders = Folders(**{name: tmp_path / name for name in names})
    session = SessionFacts("test", "conf", {}, {}, tmp_path / "run", "abc")
    place = Place("s", session, folders, {"run": {"seed": 9}, "images": {"size": 32}})
    given = place.parameters_of(place.root / "key", 3, {"images": {"size": 64}})
    assert given == {
        "run_root": str(tmp_path / "run/studies/s/key"),
        "folders": {name: str(tmp_path / name) for name in names[:4]},
        "run": {"seed": 3},
        "tracking": {"parent_run_id": "abc"},
        "images": {"size": 64},
    }
