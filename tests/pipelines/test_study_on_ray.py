"""Trials in processes of Ray are the trials of this process, and one that is killed is a failed trial."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pandas as pd
import psutil
import pytest
from filelock import FileLock
from mini_set import parameters, run

from medical_transfer.config.studies import Studies
from medical_transfer.runtime.files import read_json

pytest.importorskip("ray", reason="needs the extra `distributed`")
pytest.importorskip("optuna", reason="needs the extra `distributed`")

FINETUNING: dict[str, Any] = {"strategies": ["all_frozen"], "sizes": [4, 8], "seeds": [0]}
RAY = {"executor": "ray"}
WAIT_S = 240


@pytest.fixture(scope="module", autouse=True)
def _one_ray() -> Iterator[None]:
    """The studies of this file share one Ray, since a start takes seconds.

    Its processes are as nice as this one: at Ray's own niceness of 15 the tests beside them would starve them.
    """
    from medical_transfer.studies.on_ray import ray_started  # noqa: PLC0415

    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("RAY_worker_niceness", "0")
        with ray_started(Studies(executor="ray")):
            yield


def table(root: Path, study: str) -> pd.DataFrame:
    return pd.read_parquet(root / f"08_reporting/studies/{study}/results.parquet")


def kill_the_one_that_waits(finished: Path) -> None:
    """Kill the process whose trial is not the finished one."""
    begun = time.monotonic()
    while not finished.exists() and time.monotonic() - begun < WAIT_S:
        time.sleep(0.1)
    time.sleep(0.5)  # the process of the finished one takes another name
    for each in psutil.Process().children(recursive=True):
        if each.cmdline()[:1] == ["ray::run_in_worker"]:
            each.kill()


def test_the_same_numbers_and_a_killed_trial_is_named_and_gone_on_with(mini_set: Path, tmp_path: Path) -> None:
    here = run(tmp_path / "here", parameters(mini_set, study_finetuning=FINETUNING), "study_finetuning")
    expected = table(here, "finetuning")
    first, second = expected["trial_id"].unique()

    there = tmp_path / "there"
    trials = there / "studies/finetuning"
    trials.mkdir(parents=True)
    given = parameters(mini_set, study_finetuning=FINETUNING, studies=RAY)
    killer = threading.Thread(target=kill_the_one_that_waits, args=(trials / second / "trial.json",))
    with FileLock(trials / f"{first}.lock"):
        killer.start()
        run(there, given, "study_finetuning")
        killer.join()
    (failure,) = read_json(there / "08_reporting/studies/finetuning/failures.json")
    assert failure["trial"] == "all_frozen, 4, seed 0"
    assert "Its process ended without an answer" in failure["sentence"]
    found = table(there, "finetuning")
    assert found.loc[found["metric"] == "auroc", "setting"].tolist() == ["8"]

    mark = (trials / second / "complete.json").stat().st_mtime_ns
    run(there, given, "study_finetuning")
    pd.testing.assert_frame_equal(
        table(there, "finetuning").drop(columns="seconds"), expected.drop(columns="seconds"), check_exact=True
    )
    assert (trials / second / "complete.json").stat().st_mtime_ns == mark, "what is finished is not repeated"


def test_a_search_on_ray_counts_what_it_finds_finished(
    mini_set: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    rate = "training.finetune.head_learning_rate"
    space = {rate: {"low": 1e-3, "high": 3e-2}, "training.finetune.learning_rate": None, "model.freeze": None}
    study = {"space": space, "trials": 2, "seeds": [0]}
    given = parameters(mini_set, model={"freeze": "all"}, study_tuning=study, studies=RAY)
    run(tmp_path, given, "study_tuning")
    console = "".join(capfd.readouterr()).splitlines()
    assert [line for line in console if "Study tuning" not in line and " INFO    tuning  " not in line] == []
    found = table(tmp_path, "tuning")
    judged = found[found["metric"] == "val_auroc"]
    assert judged["method"].tolist() == ["default", "tried"]
    assert 1e-3 <= float(judged["setting"].iloc[1].removeprefix(f"{rate}=")) <= 3e-2
    assert (found["metric"] == "auroc").sum() in (1, 2), "the configuration's setting, and the other where it is better"
    run(tmp_path, given, "study_tuning")
    pd.testing.assert_frame_equal(table(tmp_path, "tuning"), found, check_exact=True)
