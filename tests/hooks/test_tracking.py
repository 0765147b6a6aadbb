from __future__ import annotations

import errno
import logging
import sqlite3
from contextlib import closing
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pandas as pd
import pytest
from kedro.io import DataCatalog, MemoryDataset
from kedro.pipeline import Pipeline, node
from kedro_datasets.text import TextDataset

from medical_transfer.config.blocks import flatten
from medical_transfer.hooks import record_place, tracking
from medical_transfer.hooks.run_metrics import measured
from medical_transfer.runtime.provenance import PROJECT
from medical_transfer.types import UserError


def test_flat_names_keep_lists_and_empty_blocks_as_values() -> None:
    nested = {"a": {"b": {"c": 1}, "list": [1, 2]}, "classes": {}, "none": None}
    assert flatten(nested) == {"a.b.c": 1, "a.list": [1, 2], "classes": {}, "none": None}


def test_metrics_are_per_epoch_and_final_without_what_is_undefined() -> None:
    history = pd.DataFrame({"phase": ["head", "trunk"], "val_loss": [0.7, float("nan")], "epoch": [0, 0]})
    rows = {"auroc": {"estimate": 0.9, "low": None, "high": 1.0, "n": 9, "groups": 5}}
    catalog = DataCatalog(
        {
            "finetuned_history": MemoryDataset(history),
            "finetuned_evaluation": MemoryDataset({"val": {}, "test": rows, "about": {}}),
        }
    )
    assert sorted(measured(catalog, {"finetuned_history", "finetuned_evaluation"})) == [
        ("epoch/epoch", 0.0, 0),
        ("epoch/epoch", 0.0, 1),
        ("epoch/val_loss", 0.7, 0),
        ("test/auroc", 0.9, 0),
        ("test/auroc_high", 1.0, 0),
    ]
    assert measured(catalog, set()) == []


def test_of_a_distillation_models_differences_and_costs_are_recorded() -> None:
    row = {"estimate": 0.5, "low": 0.25, "high": None, "n": 4, "groups": 2}
    test = {"test": {"auroc": row}, "val": {}}
    pair = {"metrics": {"auroc": row}, "delong": None, "agreement": 1.0}
    evaluation = {
        "models": {"teacher": test, "distilled": test},
        "to_teacher": {"distilled": pair},
        "to_alone": pair,
        "gap_closed": {"auroc": None, "sensitivity": 0.5},
    }
    latency = [{"batch": 1, "images_per_s": 10.0}, {"batch": 32, "images_per_s": 20.0}]
    costs = {"teacher": {"parameters": 7, "macs": None, "bytes": 9, "latency": latency}}
    catalog = DataCatalog(
        {"distilled_evaluation": MemoryDataset(evaluation), "distilled_costs": MemoryDataset({"models": costs})}
    )
    found = {name: value for name, value, _ in measured(catalog, {"distilled_evaluation"})}
    pairs = ("teacher/test", "distilled/test", "distilled/minus_teacher/test", "distilled/minus_alone/test")
    expected = {f"student/{each}/auroc": 0.5 for each in pairs} | {f"student/{each}/auroc_low": 0.25 for each in pairs}
    expected |= {"student/gap_closed/sensitivity": 0.5, "student/teacher/parameters": 7, "student/teacher/bytes": 9}
    expected |= {"student/teacher/images_per_s_1": 10, "student/teacher/images_per_s_32": 20}
    assert found == expected


def test_of_an_adaptation_both_judgements_are_recorded() -> None:
    row = {"estimate": 0.6, "low": 0.5, "high": None, "n": 9, "groups": 5}
    undefined = {"estimate": None, "low": None, "high": None, "n": 9, "groups": 5}
    plain = {"val": {}, "test": {"auroc": row, "mcc": undefined}, "about": {}}
    evaluation = {**plain, "methods": {"dann": plain}, "chosen": "dann", "gap": 0.25}
    choice = {"scores": {"dann": {"im": 0.1, "snd": None}}, "alarms": {"dann": ["im fell", "one class"]}}
    catalog = DataCatalog({"adapted_evaluation": MemoryDataset(evaluation), "adaptation_choice": MemoryDataset(choice)})
    assert sorted(measured(catalog, {"adapted_evaluation", "adaptation_choice"})) == [
        ("target/dann/test/auroc", 0.6, 0),
        ("target/dann/test/auroc_low", 0.5, 0),
        ("target/gap", 0.25, 0),
        ("target/test/auroc", 0.6, 0),
        ("target/test/auroc_low", 0.5, 0),
        ("unlabelled/dann/alarms", 2.0, 0),
        ("unlabelled/dann/im", 0.1, 0),
    ]


@pytest.mark.parametrize(
    "name", ["auroc_tumour", "auroc_grade (2) & more", "images.classes.Körper #3", "a//b", "a/../b", "a/"]
)
def test_names_are_such_as_mlflow_takes(name: str) -> None:
    from mlflow.utils.validation import _validate_metric_name, _validate_param_name  # noqa: PLC0415

    allowed = tracking._allowed(f"test/{name}")
    _validate_param_name(allowed)
    _validate_metric_name(allowed)


@pytest.mark.parametrize(
    ("uri", "place"),
    [
        ("sqlite:///runs.db", f"sqlite:///{PROJECT}/runs.db"),
        ("sqlite:////data/runs.db", "sqlite:////data/runs.db"),
        ("postgresql://host/db", "postgresql://host/db"),
        ("runs", (PROJECT / "runs").as_uri()),
        ("/data/runs", Path("/data/runs").as_uri()),
        ("sqlite:///~/runs.db", "sqlite:////here/runs.db"),
        ("~/runs", "file:///here/runs"),
    ],
)
def test_files_stand_relative_to_the_project(uri: str, place: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", "/here")
    assert record_place.absolute(uri) == place


def test_a_database_that_cannot_be_used_is_one_sentence_at_once(tmp_path, monkeypatch) -> None:
    monkeypatch.setattr(record_place, "DATABASE_WAIT_S", 0.1)
    text, folder, locked = tmp_path / "text.db", tmp_path / "folder.db", tmp_path / "locked.db"
    text.write_text("no database " * 100)
    folder.mkdir()
    with closing(sqlite3.connect(locked)) as other:
        other.execute("CREATE TABLE t (x)")
        other.execute("BEGIN EXCLUSIVE")
        for path in (text, folder, locked):
            with pytest.raises(UserError, match=r"cannot be written to .*correct `uri`"):
                record_place.check_database(f"sqlite:///{path}")
        other.rollback()
    record_place.check_database(f"sqlite:///{locked}")
    record_place.check_database(f"sqlite:///{tmp_path}/new/folder/fresh.db")
    record_place.check_database("http://tracking.example:5000")


class Record:
    """A client of a record that is full after so many calls."""

    def __init__(self, room: int) -> None:
        self.room, self.calls = room, []

    def __getattr__(self, name: str) -> Any:
        def call(*arguments: Any, **options: Any) -> None:
            if len(self.calls) >= self.room:
                raise OSError(errno.ENOSPC, "No space left on device")
            self.calls.append((name, *(str(each) for each in arguments[1:2])))

        return call


@pytest.fixture
def finished(tmp_path: Path) -> DataCatalog:
    """A catalog with two figures that a run has written."""
    folder = tmp_path / "08_reporting"
    folder.mkdir()
    files = {name: TextDataset(filepath=str(folder / f"{name}.html")) for name in ("a", "b")}
    for dataset in files.values():
        dataset.save("x")
    return DataCatalog(files)


# Calls in order: metrics (none here), a.html, b.html, then the end of the run.
ROOM = {0: "a.html, b.html are", 1: "b.html are", 2: "the end of run 1, FINISHED, is", 3: None}


@pytest.mark.parametrize("room", ROOM)
def test_a_full_disk_after_the_work_is_a_warning(
    room: int, finished: DataCatalog, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    hook, record, lost = tracking.Tracking(), Record(room), ROOM[room]
    hook.run_id, hook.client, hook.parameters = "1", record, {"run_root": str(tmp_path)}
    with caplog.at_level(logging.WARNING):
        hook.after_pipeline_run(Pipeline([node(lambda: (1, 2), None, ["a", "b"], name="n")]), finished)
    said = " ".join(caplog.messages)
    assert hook.run_id is None
    if lost is None:
        assert said == ""
        assert record.calls[-1] == ("set_terminated", "FINISHED")
    else:
        assert len(caplog.messages) == (2 if room < 2 else 1)  # the results once, and the end of the run
        assert f"{lost} not recorded ([Errno 28] No space left on device)" in said
        assert (f"all results are in {tmp_path}, but {lost}" in said) == (room < 2)


@pytest.mark.parametrize(
    ("cause", "status"), [(None, "FAILED"), (ValueError("x"), "FAILED"), (SystemExit(1), "KILLED")]
)
def test_a_run_that_failed_is_closed_with_its_reason(cause: BaseException | None, status: str) -> None:
    hook, record, error = tracking.Tracking(), Record(9), UserError("because")
    error.__cause__ = cause
    hook.run_id, hook.client = "1", record
    hook.on_pipeline_error(error)
    assert record.calls == [("set_tag", "error"), ("set_terminated", status)]
    hook.run_id, hook.client = "2", Record(0)
    hook.on_pipeline_error(error)  # a record that is full must not hide the error


def test_what_an_interrupted_run_left_open_is_closed_by_the_next() -> None:
    hook, record = tracking.Tracking(), Record(9)
    hook.run_id, hook.client = "1", record
    hook.before_pipeline_run({}, Pipeline([]), DataCatalog())
    assert record.calls == [("set_terminated", "KILLED")]


def test_runs_of_trials_that_died_are_closed_with_their_study() -> None:
    ended: list[tuple[str, str]] = []
    asked: list[str] = []

    def search_runs(_experiments: list[str], filter_string: str) -> list[Any]:
        asked.append(filter_string)
        return [SimpleNamespace(info=SimpleNamespace(run_id="trial"))]

    client = SimpleNamespace(
        set_terminated=lambda run_id, status: ended.append((run_id, status)),
        get_run=lambda _: SimpleNamespace(info=SimpleNamespace(experiment_id="1")),
        search_runs=search_runs,
    )
    hook = tracking.Tracking()
    hook.run_id, hook.client = "study", client
    assert hook.as_parent() == "study"
    hook._close("FINISHED")
    assert ended == [("study", "FINISHED"), ("trial", "KILLED")]
    assert asked == ["tags.`mlflow.parentRunId` = 'study' and attributes.status = 'RUNNING'"]
    ended.clear()
    hook = tracking.Tracking()
    hook.run_id, hook.client = "alone", client
    hook._close("FINISHED")
    assert ended == [("alone", "FINISHED")]


def test_a_second_stop_while_a_run_is_closed_leaves_it_to_be_closed_at_exit() -> None:
    hook, record = tracking.Tracking(), Record(9)
    stops = iter([KeyboardInterrupt])

    class Stopped:
        def set_terminated(self, run_id: str, status: str) -> None:
            for stop in stops:
                raise stop
            record.set_terminated(run_id, status)

    hook.run_id, hook.client = "1", Stopped()
    with pytest.raises(KeyboardInterrupt):
        hook._close("FINISHED")
    assert record.calls == []
    for _ in range(2):  # the second time there is nothing left to close
        hook._close("KILLED")
        assert record.calls == [("set_terminated", "KILLED")]


def test_a_record_that_takes_nothing_stops_the_run_with_a_sentence(monkeypatch, tmp_path) -> None:
    hook = tracking.Tracking()
    places = {"uri": f"sqlite:///{tmp_path}/runs.db", "artifacts": str(tmp_path / "full")}
    hook.config = record_place.tracking_config({"enabled": True, "experiment": "x", **places})

    def full(*_: Any) -> None:
        hook.run_id, hook.client = "1", Record(9)
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(hook, "_open", full)
    with pytest.raises(UserError, match=r"cannot be written to .*runs\.db or file://.*full .*No space left"):
        hook.before_pipeline_run({}, Pipeline([]), DataCatalog())
    assert hook.run_id is None


SECRET = "postgresql://me:se@cr:et w/ord@host:5432/runs"
MASKED = "postgresql://\\*\\*\\*@host:5432/runs"
MISSING = object()


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ({"uri": ["x"]}, r"`uri` is \['x'\]"),
        ({"enabled": "maybe"}, "`enabled` is 'maybe'"),
        ({"url": "x"}, "`url` is 'x'"),
        ({"experiment": MISSING}, "`experiment` is missing"),
        ({"uri": [SECRET, SECRET]}, rf"`uri` is \['{MASKED}', '{MASKED}'\]"),
        ({"url": SECRET}, f"`url` is '{MASKED}'"),
        ({"enabled": {"at": SECRET, 1: None}}, rf"`enabled` is \{{'at': '{MASKED}', 1: None\}}"),
    ],
)
def test_settings_of_the_record_are_checked(content: dict[str, Any], words: str) -> None:
    right = {"enabled": True, "uri": SECRET, "artifacts": "runs", "experiment": "x"}
    assert record_place.tracking_config(right).uri == SECRET
    with pytest.raises(UserError, match=rf"^tracking\.yml: {words} \(") as caught:
        record_place.tracking_config({k: v for k, v in (right | content).items() if v is not MISSING})
    assert "ord" not in str(caught.value).replace("record", "")
    with pytest.raises(UserError, match="home folder that is not known"):
        record_place.absolute("~no-one-here/runs")


def test_credentials_of_an_address_are_not_said_where_it_takes_nothing() -> None:
    said = record_place.no_record(OSError(f"no answer of {SECRET}, tried twice"), SECRET, "s3://bucket")
    assert "cannot be written to postgresql://***@host:5432/runs or s3://bucket (" in said
    assert "no answer of postgresql://***@host:5432/runs, tried twice" in said
