"""`kedro run --pipeline=predict` on a finished model: its files, its page, and what it refuses."""

from __future__ import annotations

import shutil
import signal
from pathlib import Path

import pandas as pd
import pytest
from mini_set import kedro, killed_kedro, run

from medical_transfer.evaluation.predictor import load
from medical_transfer.types import UserError
from small_model import save_small_model, write_pictures

NAME = "predict"


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("models") / "0123456789abcdef"
    save_small_model(folder)
    return folder


@pytest.fixture(scope="module")
def pictures(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("new images <b>")
    write_pictures(root, 12)
    (root / "deep/letter.jpg").write_bytes(b"Dear colleague,\n")
    return root


def given(model: Path, pictures: Path, more: dict | None = None) -> dict:
    return {NAME: {"images": str(pictures), "model": str(model), "group_pattern": "(p[0-9]+)_"} | (more or {})}


def table_of(root: Path, name: str = "predictions") -> pd.DataFrame:
    return pd.read_parquet(root / f"07_model_output/predict_{name}.parquet")


@pytest.fixture(scope="module")
def done(model: Path, pictures: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return run(tmp_path_factory.mktemp("done"), given(model, pictures, {"part_images": 5}), NAME)


def test_the_table_is_what_python_says(done: Path, model: Path, pictures: Path) -> None:
    expected = load(model).predict(pictures, group_pattern="(p[0-9]+)_")
    pd.testing.assert_frame_equal(table_of(done), expected, check_exact=False, atol=1e-6)
    patients = table_of(done, "patients")
    assert patients["group_id"].tolist() == [f"p{number:02d}" for number in range(6)]
    assert patients["images"].tolist() == [2] * 6


def test_the_page_says_what_was_decided_and_what_was_not_read(done: Path) -> None:
    page = (done / "08_reporting/predict_report.html").read_text(encoding="utf-8")
    for words in ("13 files were found; 12 were read and 1 were not", "not an image", "deep/letter.jpg", "p03"):
        assert words in page
    assert "new images &lt;b&gt;" in page
    assert "<b>" not in page
    assert "http" not in page.replace("http-equiv", "")


def test_the_same_again_predicts_nothing(done: Path, model: Path, pictures: Path, monkeypatch) -> None:
    marks = {mark: mark.stat().st_mtime_ns for mark in done.rglob("complete.json")}
    run(done, given(model, pictures, {"part_images": 5}), NAME)
    assert {mark: mark.stat().st_mtime_ns for mark in done.rglob("complete.json")} == marks
    assert len(marks) == 1


def test_a_killed_command_given_again_goes_on(done: Path, model: Path, pictures: Path, tmp_path: Path) -> None:
    words = ",".join(
        f"predict.{name}={value}" for name, value in given(model, pictures, {"part_images": 5})[NAME].items()
    )
    command = ["run", "--pipeline=predict", "--env=test", f"--params=run_root={tmp_path},{words}"]
    killed = killed_kedro("medical_transfer.evaluation.parts:atomic_path", 2, "before", *command)
    assert killed.returncode == -signal.SIGKILL, killed.stderr
    assert len(list(tmp_path.rglob("parts/*.parquet"))) == 1
    again = kedro(*command)
    assert again.returncode == 0, again.stderr
    pd.testing.assert_frame_equal(table_of(tmp_path), table_of(done))
    assert not list(tmp_path.rglob("parts"))


@pytest.mark.parametrize(
    ("more", "sentence"),
    [
        ({"images": None}, r"^predict\.images is not set"),
        ({"images": "/no/such"}, r"^predict\.images is /no/such, which does not exist"),
        ({"model": "/no/such"}, r"^predict\.model is /no/such, which holds no model"),
        ({"model": None}, r"^predict\.model is not set and there is no fine-tuned model here"),
        ({"novelt": 1}, r"Unknown parameter 'predict\.novelt'\. Did you mean 'novelty'"),
        ({"false_abstain": 0}, r"Parameter 'predict\.false_abstain' is 0"),
        ({"group_pattern": "p"}, r"Parameter 'predict\.group_pattern': 'p' has no group"),
        ({"sixteen_bit": [5, 4]}, r"Parameter 'predict\.sixteen_bit.*is no range"),
    ],
)
def test_what_cannot_be_is_one_sentence(model: Path, pictures: Path, tmp_path: Path, more: dict, sentence: str) -> None:
    with pytest.raises(UserError, match=sentence):
        run(tmp_path / "run", given(model, pictures, more), NAME)


def test_results_among_the_images_are_refused(model: Path, tmp_path: Path) -> None:
    write_pictures(tmp_path / "new", 2)
    with pytest.raises(UserError, match=r"inside predict\.images"):
        run(tmp_path / "new/results", given(model, tmp_path / "new"), NAME)


def test_the_model_of_the_main_job_is_the_default_and_its_images_come_out_the_same(
    finished: Path, mini_set: Path, tmp_path: Path
) -> None:
    """The walk of a picture is the same in training and in prediction."""
    shutil.copytree(finished / "06_models", tmp_path / "06_models")
    table = table_of(run(tmp_path, {NAME: {"images": str(mini_set)}}, NAME))
    both = table.merge(
        pd.read_parquet(finished / "07_model_output/finetuned_predictions.parquet"), on="path", suffixes=("", "_then")
    )
    assert len(both) == len(table)
    read = both[both["p_along_then"].notna()]
    assert len(read) >= 60
    assert (read["p_along"] - read["p_along_then"]).abs().max() < 1e-5
    assert (read["decision"] == read["decision_then"]).all()
    assert read["novelty"].notna().all()
