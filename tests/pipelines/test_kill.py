"""Killed anywhere, the same command goes on and ends with the numbers of a run that nobody disturbed."""

from __future__ import annotations

import signal
from pathlib import Path

import pandas as pd
import pytest
from mini_set import kedro, killed_kedro, marks, predictions

PARAMETERS = (
    "images.kind=folder",
    "images.group_pattern=p([0-9]+)_",
    "transferability.sources=[random]",
    "transferability.folds=2",
    "training.epochs=3",
    "training.patience=9",
)
CALLBACKS = "medical_transfer.training.callbacks"
STEP = "medical_transfer.training.module:MethodModule.training_step"

# One run dies at all of these in turn: function, number of its call, before or after it; and where its work is cut off.
# An epoch has 6 steps, the head has 2 epochs.
DEATHS = {
    "decoding": ("medical_transfer.data.audit:decode", 20, "before", "05_model_input/images"),
    "scoring": (
        "medical_transfer.pipelines.transferability.scoring:score_source",
        1,
        "before",
        "04_feature/scores",
    ),
    "second epoch of the head": (STEP, 9, "before", "06_models/finetuned"),
    "first best weights of the trunk": (f"{CALLBACKS}:KeepBest.on_train_epoch_end", 1, "after", "06_models/finetuned"),
    "second epoch of the trunk": (STEP, 9, "before", "06_models/finetuned"),
    "calibration": ("medical_transfer.training.finish:fit_temperature", 1, "before", "06_models/finetuned"),
    "prediction": ("medical_transfer.evaluation.predict:predict_logits", 1, "before", "07_model_output"),
    "report": ("medical_transfer.reporting.report:render_report", 1, "before", "08_reporting"),
}


def command(run_root: Path, images: Path) -> list[str]:
    given = ",".join((f"run_root={run_root}", f"images.root={images}", *PARAMETERS))
    return ["run", "--pipeline=medical_transfer", "--env=test", f"--params={given}"]


@pytest.fixture(scope="module")
def undisturbed(mini_set: Path, tmp_path_factory: pytest.TempPathFactory) -> pd.DataFrame:
    root = tmp_path_factory.mktemp("undisturbed")
    done = kedro(*command(root, mini_set))
    assert done.returncode == 0, done.stderr
    return predictions(root)


@pytest.fixture(scope="module")
def dying(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("dying")


def cut_off(place: Path) -> bool:
    """Whether work lies there half done: a result without its mark, or figures whose page is missing."""
    partial = [folder for folder in place.rglob("*.partial") if not (folder / "complete.json").exists()]
    figures = list(place.glob("*.png"))
    return bool(partial or (figures and not (place / "report.html").exists()))


@pytest.mark.parametrize("stage", DEATHS)
def test_killed_run_leaves_nothing_that_looks_finished(dying: Path, mini_set: Path, stage: str) -> None:
    place, number, when, unfinished = DEATHS[stage]
    done = killed_kedro(place, number, when, *command(dying, mini_set))
    assert done.returncode == -signal.SIGKILL, done.stderr
    assert cut_off(dying / unfinished), "killed elsewhere than in the middle of this work"
    assert not [mark for mark in marks(dying / unfinished) if ".partial" not in mark]
    assert not (dying / "08_reporting/report.html").exists()


def test_and_then_ends_with_the_same_numbers(dying: Path, mini_set: Path, undisturbed: pd.DataFrame) -> None:
    assert list(dying.iterdir()), "nothing was killed yet: run this file as a whole"
    done = kedro(*command(dying, mini_set))
    assert done.returncode == 0, done.stderr
    pd.testing.assert_frame_equal(predictions(dying), undisturbed, check_exact=True)
    assert (dying / "08_reporting/report.html").exists()
    assert not list(dying.rglob("*.partial"))
