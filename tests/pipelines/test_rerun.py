"""The same command again: the same bits in a fresh place, no work in the same place, only what changed is done anew."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pandas as pd
import pytest
from mini_set import CLASSES, PREDICTED, marks, parameters, predictions, python, run
from PIL import Image

MODULES_OF_A_RUN = """
import json, sys
sys.path[:0] = ["tests", "tests/pipelines"]
from mini_set import run
run(sys.argv[1], json.loads(sys.argv[2]))
print(json.dumps(sorted(sys.modules)))
"""


def models(run_root: Path) -> list[Path]:
    return sorted(path.parent for path in (run_root / "06_models/finetuned").glob("*/model.json"))


def tensors(run_root: Path) -> bytes:
    (folder,) = models(run_root)
    return (folder / "model.safetensors").read_bytes()


def scores(run_root: Path) -> list[dict]:
    """All that scoring says but its seconds."""
    scored = json.loads((run_root / "08_reporting/transferability.json").read_text(encoding="utf-8"))
    return [
        {name: score["value"] for name, score in source["scores"].items()} | {"folds": source["fold_aurocs"]}
        for source in scored["sources"]
    ]


@pytest.fixture
def copied(finished: Path, tmp_path: Path) -> Path:
    """A finished run that a test may go on from."""
    return Path(shutil.copytree(finished, tmp_path / "run"))


def test_a_fresh_place_gives_the_same_bits(finished: Path, mini_set: Path, tmp_path: Path) -> None:
    again = run(tmp_path, parameters(mini_set), wanted=PREDICTED)
    pd.testing.assert_frame_equal(predictions(again), predictions(finished), check_exact=True)
    assert tensors(again) == tensors(finished)


def test_another_seed_is_another_split_and_model(finished: Path, mini_set: Path, tmp_path: Path) -> None:
    other = run(tmp_path, parameters(mini_set, run={"seed": 1}), wanted=PREDICTED)
    assert (predictions(other)["split"] != predictions(finished)["split"]).any()
    assert tensors(other) != tensors(finished)


def test_nothing_changed_nothing_done(copied: Path, mini_set: Path) -> None:
    before, made = marks(copied), predictions(copied)
    done = python("-c", MODULES_OF_A_RUN, str(copied), json.dumps(parameters(mini_set)))
    assert done.returncode == 0, done.stderr
    assert marks(copied) == before
    pd.testing.assert_frame_equal(predictions(copied), made, check_exact=True)
    loaded = json.loads(done.stdout.splitlines()[-1])
    assert not [name for name in loaded if name.startswith(("lightning", "medical_transfer.training", "onnxruntime"))]


def test_another_learning_rate_retrains_but_scores_nothing_again(copied: Path, mini_set: Path) -> None:
    before = marks(copied)
    run(copied, parameters(mini_set, training={"finetune": {"learning_rate": 1e-3}}), wanted=PREDICTED)
    after = marks(copied)
    assert {place: when for place, when in after.items() if place in before} == before
    assert sorted({place.rsplit("/", 2)[0] for place in after.keys() - before.keys()}) == [
        "06_models/finetuned",
        "07_model_output/finetuned",
    ]
    assert len(models(copied)) == 2


def test_another_number_of_resamples_trains_nothing(copied: Path, mini_set: Path) -> None:
    before = marks(copied)
    run(copied, parameters(mini_set, evaluation={"resamples": 300}), wanted=("finetuned_evaluation",))
    assert marks(copied) == before
    evaluation = json.loads((copied / "08_reporting/finetuned_evaluation.json").read_text(encoding="utf-8"))
    assert evaluation["about"]["intervals"]["resamples"] == 300


@pytest.mark.parametrize("change", ["content", "size"])
def test_other_pixels_are_another_cache(mini_set: Path, tmp_path: Path, change: str) -> None:
    images = Path(shutil.copytree(mini_set, tmp_path / "images"))
    given, root = parameters(images), tmp_path / "run"
    run(root, given, "ingestion")
    if change == "content":
        Image.new("L", (64, 64), 90).save(images / "along/p103_0.png")
    else:
        given["images"]["size"] = 48
    run(root, given, "ingestion")
    assert len(marks(root / "05_model_input/images")) == 2


def test_moved_images_are_the_same_cache(mini_set: Path, tmp_path: Path) -> None:
    root = run(tmp_path / "run", parameters(mini_set), "ingestion")
    moved = Path(shutil.copytree(mini_set, tmp_path / "elsewhere"))
    before = marks(root)
    run(root, parameters(moved), "ingestion")
    assert marks(root) == before


def test_no_test_row_is_read_before_evaluation(mini_set: Path, tmp_path: Path) -> None:
    """Swapped labels and other pixels of all given test images change neither scores nor trained weights."""
    images = Path(shutil.copytree(mini_set, tmp_path / "images"))
    rows = [(path, path.parent.name) for path in sorted(images.glob("*/p*.png"))]
    in_test = ("p011", "p012", "p013", "p111", "p112", "p113")
    given = parameters(tmp_path, images={"kind": "table", "root": str(images), "table": str(tmp_path / "rows.csv")})

    def once(name: str, *, poisoned: bool) -> Path:
        table = pd.DataFrame(
            {
                "path": [path.relative_to(images).as_posix() for path, _ in rows],
                "label": [
                    CLASSES[1 - CLASSES.index(label)] if poisoned and path.name.startswith(in_test) else label
                    for path, label in rows
                ],
                "split": ["test" if path.name.startswith(in_test) else "train" for path, _ in rows],
            }
        )
        table.to_csv(tmp_path / "rows.csv", index=False)
        return run(tmp_path / name, given, wanted=PREDICTED)

    clean = once("clean", poisoned=False)
    for path, _ in rows:
        if path.name.startswith(in_test):
            Image.open(path).rotate(90).point(lambda grey: 255 - grey).save(path)
    poisoned = once("poisoned", poisoned=True)
    assert predictions(poisoned)["split"].tolist() == predictions(clean)["split"].tolist()
    labels, before = predictions(poisoned)["label"], predictions(clean)["label"]
    assert labels[labels != before].count() == 12
    assert scores(poisoned) == scores(clean)
    assert tensors(poisoned) == tensors(clean)
