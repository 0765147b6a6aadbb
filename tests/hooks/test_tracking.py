from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path

import pandas as pd
import pytest
from kedro.io import DataCatalog, MemoryDataset

from medical_transfer.hooks import tracking
from medical_transfer.hooks.tracking import flatten, measured
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
    assert tracking._absolute(uri) == place


def test_a_database_that_cannot_be_used_is_one_sentence_at_once(tmp_path, monkeypatch) -> None:
    monkeypatch.setattr(tracking, "DATABASE_WAIT_S", 0.1)
    text, folder, locked = tmp_path / "text.db", tmp_path / "folder.db", tmp_path / "locked.db"
    text.write_text("no database " * 100)
    folder.mkdir()
    with closing(sqlite3.connect(locked)) as other:
        other.execute("CREATE TABLE t (x)")
        other.execute("BEGIN EXCLUSIVE")
        for path in (text, folder, locked):
            with pytest.raises(UserError, match=r"cannot be written to .*correct `uri`"):
                tracking.check_database(f"sqlite:///{path}")
        other.rollback()
    tracking.check_database(f"sqlite:///{locked}")
    tracking.check_database(f"sqlite:///{tmp_path}/new/folder/fresh.db")
    tracking.check_database("http://tracking.example:5000")
