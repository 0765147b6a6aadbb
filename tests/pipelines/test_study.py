"""A study on the small set: its table, that it goes on after a kill, and that a trial may fail."""

from __future__ import annotations

import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from filelock import FileLock
from mini_set import PREDICTED, killed_kedro, parameters, predictions, run

from medical_transfer.runtime.files import read_json
from medical_transfer.types import UserError

STUDY = "study_finetuning"
OUTPUTS = "08_reporting/studies/finetuning"
FIT = "medical_transfer.training.produce:fit"
MEASURED = (*PREDICTED, "finetuned_evaluation", "finetuned_history")
ONE_SEED: dict[str, Any] = {"strategies": ["all_frozen"], "sizes": [4, 8], "seeds": [0]}

Counted = Callable[[Callable[..., None]], list[Path]]


def table(root: Path) -> pd.DataFrame:
    return pd.read_parquet(root / OUTPUTS / "results.parquet")


def summary(root: Path) -> str:
    return (root / OUTPUTS / "summary.md").read_text(encoding="utf-8")


@pytest.fixture(scope="module")
def whole(mini_set: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Root of one study of four trials that nobody disturbed."""
    return run(tmp_path_factory.mktemp("study"), parameters(mini_set), STUDY)


@pytest.fixture
def trainings(monkeypatch: pytest.MonkeyPatch) -> Counted:
    """Count trainings by their folders; what is given is called before each with the training's parameters."""
    from medical_transfer.training import produce  # noqa: PLC0415 - brings torch

    inner = produce.fit

    def count(before: Callable[..., None] = lambda **_: None) -> list[Path]:
        folders: list[Path] = []

        def counted(*arguments: Any, **options: Any) -> pd.DataFrame:
            before(**options)
            folders.append(options["folder"])
            return inner(*arguments, **options)

        monkeypatch.setattr(produce, "fit", counted)
        return folders

    return count


def test_one_row_per_trial_and_metric(whole: Path) -> None:
    found = table(whole)
    assert list(found) == ["trial_id", "method", "setting", "seed", "metric", "value", "low", "high", "n", "seconds"]
    cells = found.groupby("trial_id")[["method", "setting", "seed"]].first()
    expected = {(m, s, i) for m in ("all_frozen", "full") for s in ("8",) for i in (0, 1)}
    assert set(cells.itertuples(index=False, name=None)) == expected
    assert len(cells) == 4
    auroc = found[found["metric"] == "auroc"]
    assert len(auroc) == 4
    assert ((auroc["low"] <= auroc["value"]) & (auroc["value"] <= auroc["high"])).all()
    assert (found["seconds"] > 0).all()
    tested = (
        pd.read_parquet(whole / "studies/finetuning/prepared/0/03_primary/manifest.parquet")["split"] == "test"
    ).sum()
    assert auroc.loc[auroc["seed"] == 0, "n"].unique().tolist() == [tested]
    assert (whole / OUTPUTS / "learning_curves.png").stat().st_size > 10_000
    assert read_json(whole / OUTPUTS / "failures.json") == []
    assert "Nothing is compared: no two strategies have 3 seeds in common." in summary(whole)


def test_a_trial_is_the_main_job_under_its_parameters(whole: Path, mini_set: Path, tmp_path: Path) -> None:
    """By hand: 6 steps in 2 rounds, the whole network at one rate of 1e-3, 8 images of each class, seed 1."""
    finetune = {"head_first": False, "multiplier": 1.0, "learning_rate": 1e-3}
    steps = {"per_class": 8, "batch_size": 16, "steps_per_epoch": 3}
    training = {**steps, "epochs": 2, "patience": 2, "finetune": finetune}
    given = parameters(mini_set, training=training, model={"freeze": "none"}, run={"seed": 1})
    main = run(tmp_path, given, "medical_transfer", wanted=MEASURED)
    found = table(whole)
    mine = found[(found["method"] == "full") & (found["setting"] == "8") & (found["seed"] == 1)]
    root = whole / "studies/finetuning" / mine["trial_id"].iloc[0]
    ours, theirs = predictions(root), predictions(main)
    learned = theirs["split"] == "train"
    assert ours.loc[learned, "predicted"].isna().all(), "no metric needs them"
    assert theirs.loc[learned, "predicted"].notna().any()
    pd.testing.assert_frame_equal(ours[~learned], theirs[~learned], check_exact=True)
    measured = read_json(main / "08_reporting/finetuned_evaluation.json")["test"]
    assert mine.set_index("metric").loc["auroc", "value"] == measured["auroc"]["estimate"]
    history = pd.read_parquet(root / "08_reporting/finetuned_history.parquet")
    assert history["step"].tolist() == [3, 6]
    assert not (root / "06_models").exists()


def test_finished_trials_are_not_repeated(whole: Path, mini_set: Path, trainings: Counted) -> None:
    before, counted = table(whole), trainings()
    run(whole, parameters(mini_set), STUDY)
    assert counted == []
    pd.testing.assert_frame_equal(table(whole), before, check_exact=True)
    more = {"strategies": ["all_frozen"], "sizes": [6, 8], "seeds": [0]}
    run(whole, parameters(mini_set, study_finetuning=more), STUDY)
    assert len(counted) == 1, "the size of 8 is there, that of 6 is new"


def test_a_killed_study_goes_on(whole: Path, mini_set: Path, tmp_path: Path, trainings: Counted) -> None:
    given = {
        "run_root": tmp_path,
        "images.kind": "folder",
        "images.root": mini_set,
        "images.group_pattern": "p([0-9]+)_",
        "transferability.folds": 2,
        "study_finetuning.seeds": [0],
        "study_finetuning.seeds_whole": [0],
    }
    command = ["run", f"--pipeline={STUDY}", "--env=test"]
    command.append("--params=" + ",".join(f"{name}={value}" for name, value in given.items()))
    done = killed_kedro(FIT, 2, "before", *command)
    assert done.returncode == -signal.SIGKILL, done.stderr
    assert len(list((tmp_path / "studies/finetuning").glob("*/trial.json"))) == 1
    assert not (tmp_path / OUTPUTS).exists()
    counted = trainings()
    run(tmp_path, parameters(mini_set, study_finetuning={"seeds": [0], "seeds_whole": [0]}), STUDY)
    assert len(counted) == 1
    assert not list(tmp_path.rglob("*.partial"))
    undisturbed = whole_table(whole, mini_set)
    expected = undisturbed[undisturbed["seed"] == 0].drop(columns=["trial_id", "seconds"])
    found = table(tmp_path).drop(columns=["trial_id", "seconds"])
    pd.testing.assert_frame_equal(found, expected.reset_index(drop=True), check_exact=True)


def whole_table(whole: Path, mini_set: Path) -> pd.DataFrame:
    """The table of all four trials: a test before this one asked for another one in the same place."""
    return table(run(whole, parameters(mini_set), STUDY))


def is_locked(root: Path) -> bool:
    lock = FileLock(root / ".run.lock", timeout=0, is_singleton=False)
    try:
        lock.acquire()
    except TimeoutError:
        return True
    lock.release()
    return False


def test_a_failed_trial_is_named_and_the_others_run(mini_set: Path, tmp_path: Path, trainings: Counted) -> None:
    locked: list[bool] = []

    def fail_first(**_: Any) -> None:
        locked.append(is_locked(tmp_path))
        if len(locked) == 1:
            raise UserError("The loss became nan in phase 'head'.")

    trainings(fail_first)
    given = parameters(mini_set, study_finetuning=ONE_SEED)
    run(tmp_path, given, STUDY)
    assert locked == [True, True], "hooks that trials shared with their study would let go its root"
    assert not is_locked(tmp_path)
    assert "finetuning" in read_json(tmp_path / "08_reporting/timing.json")
    (failure,) = read_json(tmp_path / OUTPUTS / "failures.json")
    assert failure["trial"] == "all_frozen, 4, seed 0"
    assert "all_frozen, 4, seed 0: The loss became nan in phase 'head'." in summary(tmp_path)
    found = table(tmp_path)
    (row,) = found[found["metric"] == "failed"].to_dict("records")
    assert (row["trial_id"], row["setting"]) == (failure["trial_id"], "4")
    assert found.loc[found["metric"] == "auroc", "setting"].tolist() == ["8"]

    counted = trainings()
    run(tmp_path, given, STUDY)
    assert len(counted) == 1, "the one that failed is tried again"
    assert read_json(tmp_path / OUTPUTS / "failures.json") == []


def test_what_ends_the_whole_study(mini_set: Path, tmp_path: Path, trainings: Counted) -> None:
    given = parameters(mini_set, study_finetuning=ONE_SEED)

    def break_all(**_: Any) -> None:
        raise ValueError("odd")

    trainings(break_all)
    with pytest.raises(UserError, match="No trial of study finetuning ended well; the first said: ValueError: odd"):
        run(tmp_path, given, STUDY)

    def stop(**_: Any) -> None:
        raise UserError("Training was stopped from outside.") from SystemExit(143)

    counted = trainings(stop)
    with pytest.raises(UserError, match="stopped from outside"):
        run(tmp_path, given, STUDY)
    assert counted == []

    too_large = {**ONE_SEED, "sizes": [4, 500]}
    with pytest.raises(UserError, match=r"study_finetuning.sizes has 500, but with seed 0 class"):
        run(tmp_path, parameters(mini_set, study_finetuning=too_large), STUDY)
    assert counted == []
