"""The record of whole runs in a database of their own."""

from __future__ import annotations

import json
import shutil
import signal
import warnings
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from mini_set import kedro, parameters, run

from forked import forked
from medical_transfer.runtime.provenance import PROJECT
from medical_transfer.types import UserError

Found = Callable[[Path], Any]


def tracked(folder: Path) -> Path:
    """A copy of the configuration that records below `folder`."""
    conf = Path(shutil.copytree(PROJECT / "conf", folder / "conf", ignore=shutil.ignore_patterns("local")))
    (conf / "local").mkdir()
    settings = {"enabled": True, "uri": f"sqlite:///{folder}/runs.db", "artifacts": str(folder / "runs")}
    (conf / "test/tracking.yml").write_text(json.dumps({**settings, "experiment": "test"}), encoding="utf-8")
    return conf


@pytest.fixture
def runs_of() -> Found:
    """All recorded runs below a folder, newest first, with the client."""
    with warnings.catch_warnings(action="ignore"):  # its use of sqlalchemy
        from mlflow.store.tracking import sqlalchemy_store  # noqa: F401, PLC0415
        from mlflow.tracking import MlflowClient  # noqa: PLC0415 - seconds that only these tests should pay

    def found(folder: Path) -> tuple[MlflowClient, list[Any]]:
        client = MlflowClient(f"sqlite:///{folder}/runs.db")
        return client, client.search_runs([client.get_experiment_by_name("test").experiment_id])

    return found


def test_main_job_leaves_one_complete_record(mini_set: Path, tmp_path: Path, runs_of: Found) -> None:
    given = parameters(mini_set, training={"finetune": {"head_epochs": 2}})
    root = run(tmp_path / "run", given, conf=tracked(tmp_path))
    client, (record,) = runs_of(tmp_path)
    assert record.info.status == "FINISHED"

    assert record.data.params["training.finetune.head_epochs"] == "2"
    assert record.data.params["images.root"] == str(mini_set)
    assert record.data.params["transferability.sources"] == "['random']"

    evaluation = json.loads((root / "08_reporting/finetuned_evaluation.json").read_text(encoding="utf-8"))
    for name in ("auroc", "brier"):
        row = evaluation["test"][name]
        assert record.data.metrics[f"test/{name}"] == row["estimate"]
        assert record.data.metrics[f"test/{name}_low"] == row["low"]
    history = pd.read_parquet(root / "08_reporting/finetuned_history.parquet")
    steps = client.get_metric_history(record.info.run_id, "epoch/val_loss")
    assert [point.value for point in sorted(steps, key=lambda point: point.step)] == history["val_loss"].tolist()

    kept = {
        file.path for folder in ("", "model", "reporting") for file in client.list_artifacts(record.info.run_id, folder)
    }
    assert {"parameters.yml", "model/model.safetensors", "model/model.json"} <= kept
    assert {"reporting/report.html", "reporting/roc_curve.png", "reporting/transferability.json"} <= kept

    tags = record.data.tags
    assert tags["pipeline"] == "medical_transfer"
    assert tags["seed"] == "0"
    assert {"git_sha", "git_dirty", "lock", "data_fingerprint"} <= set(tags)

    # A run of one stage in the same place makes no results of the whole job, so it must not record them as its own.
    run(root, given, "ingestion", conf=tmp_path / "conf")
    _, (second, _) = runs_of(tmp_path)
    assert (second.data.tags["pipeline"], second.data.metrics) == ("ingestion", {})


def test_failed_run_is_recorded_with_its_reason(tmp_path: Path, runs_of: Found) -> None:
    (tmp_path / "images").mkdir()
    with pytest.raises(UserError, match="holds no files"):
        run(tmp_path / "run", parameters(tmp_path / "images"), conf=tracked(tmp_path))
    _, (record,) = runs_of(tmp_path)
    assert record.info.status == "FAILED"
    assert "holds no files" in record.data.tags["error"]


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_stopped_run_is_closed_and_says_so(mini_set: Path, tmp_path: Path, runs_of: Found, number: int) -> None:
    given = f"--params=images.kind=folder,images.root={mini_set},run_root={tmp_path}/run"
    command = ["run", "--pipeline=ingestion", "--env=test", f"--conf-source={tracked(tmp_path)}", given]
    done = forked("tests/pipelines/stopped_kedro.py", str(int(number)), *command)
    assert done.returncode != 0
    assert done.stderr.splitlines()[-1].startswith("Error: The run was stopped from outside.")
    assert "Traceback" not in done.stderr
    _, (record,) = runs_of(tmp_path)
    assert record.info.status == "KILLED"


def test_refused_parameter_leaves_no_record(tmp_path: Path, mini_set: Path) -> None:
    with pytest.raises(UserError, match="Did you mean 'training'"):
        run(tmp_path / "run", parameters(mini_set, trainin={"epochs": 2}), conf=tracked(tmp_path))
    assert not (tmp_path / "runs.db").exists()
    assert not (tmp_path / "run").exists()


def test_two_runs_at_once_on_a_fresh_database(mini_set: Path, tmp_path: Path, runs_of: Found) -> None:
    conf = tracked(tmp_path)
    given = f"images.kind=folder,images.root={mini_set},run_root={tmp_path}"
    commands = [
        f"run --pipeline=ingestion --env=test --conf-source={conf} --params={given}/run{number}" for number in (1, 2)
    ]
    with ThreadPoolExecutor(2) as pool:
        both = list(pool.map(lambda command: kedro(*command.split()), commands))
    assert [done.returncode for done in both] == [0, 0], [done.stderr for done in both]
    _, records = runs_of(tmp_path)
    assert [record.info.status for record in records] == ["FINISHED", "FINISHED"]


def test_trials_are_children_of_their_study(mini_set: Path, tmp_path: Path, runs_of: Found) -> None:
    study = {"strategies": ["all_frozen"], "sizes": [4, 8], "seeds": [0]}
    run(tmp_path / "run", parameters(mini_set, study_finetuning=study), "study_finetuning", conf=tracked(tmp_path))
    client, records = runs_of(tmp_path)
    parents = [record for record in records if "mlflow.parentRunId" not in record.data.tags]
    children = [record for record in records if record not in parents]
    assert {record.info.status for record in records} == {"FINISHED"}
    assert [record.data.tags["pipeline"] for record in parents] == ["study_finetuning"]
    assert {record.data.tags["mlflow.parentRunId"] for record in children} == {parents[0].info.run_id}
    trials = [record for record in children if record.data.tags["pipeline"].startswith("model_building")]
    assert sorted(record.data.params["training.per_class"] for record in trials) == ["4", "8"]
    assert all("test/auroc" in record.data.metrics for record in trials)
    assert not [file for record in trials for file in client.list_artifacts(record.info.run_id, "model")]
    kept = {file.path for file in client.list_artifacts(parents[0].info.run_id, "reporting")}
    assert {"reporting/results.parquet", "reporting/learning_curves.png", "reporting/summary.md"} <= kept
