"""A student of the main job's model, trained by the main job."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
from mini_set import parameters, run
from safetensors.numpy import load_file

from medical_transfer.types import UserError

STUDENT = "random/house/chapter_student"


def folder_of(run_root: Path) -> Path:
    pointer = run_root / "06_models/finetuned.json"
    return pointer.parent / json.loads(pointer.read_text(encoding="utf-8"))["folder"]


def taught(mini_set: Path, teacher: Path, **blocks) -> dict:
    training = {
        "kind": "distill",
        "distill": {"teacher": [str(teacher)]},
        "finetune": {"head_first": False, "multiplier": 1.0, "batch_norm": "adapt", "learning_rate": 1e-3},
    }
    fixed = {"model": {"freeze": "none"}, "transferability": {"sources": [STUDENT], "folds": 2}}
    return parameters(mini_set, training=training, **fixed | blocks)


@pytest.fixture(scope="module")
def student(mini_set: Path, finished: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return run(tmp_path_factory.mktemp("student"), taught(mini_set, folder_of(finished)))


def test_the_student_is_saved_alone(student: Path) -> None:
    folder = folder_of(student)
    card = json.loads((folder / "model.json").read_text(encoding="utf-8"))
    assert (card["kind"], card["architecture"]) == ("distill", "house/chapter_student")
    stored = load_file(folder / "model.safetensors")
    trunk = {name for name in stored if name.startswith("trunk.")}
    assert trunk == {f"trunk.network.features.{layer}.{kind}" for layer in (0, 3, 8) for kind in ("weight", "bias")}
    assert {name.partition(".")[0] for name in stored} == {"normalise", "trunk", "standardise", "head"}


def test_the_history_tells_both_parts_of_the_loss(student: Path) -> None:
    rows = json.loads((folder_of(student) / "history.json").read_text(encoding="utf-8"))
    assert [row["phase"] for row in rows] == ["trunk"]
    both = 0.7 * rows[0]["train_kd"] + 0.3 * rows[0]["train_cross_entropy"]
    assert rows[0]["train_loss"] == pytest.approx(both, rel=1e-4)


def test_a_teacher_of_another_split_is_refused(mini_set: Path, finished: Path, tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"learned on another split \(hash .*set run.seed"):
        run(tmp_path, taught(mini_set, folder_of(finished), run={"seed": 5}))


def test_a_teacher_that_was_changed_is_refused_before_the_first_node(
    mini_set: Path, finished: Path, tmp_path: Path
) -> None:
    broken = tmp_path / "teacher"
    shutil.copytree(folder_of(finished), broken)
    with (broken / "model.safetensors").open("r+b") as file:
        file.seek(-1, 2)
        file.write(b"\x01")
    with pytest.raises(UserError, match="another sha256"):
        run(tmp_path / "run", taught(mini_set, broken))
    assert not list((tmp_path / "run").rglob("*.parquet"))
