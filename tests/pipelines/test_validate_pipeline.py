"""`kedro run --pipeline=validate`: class folders, other class names, and labels that the model does not know."""

from __future__ import annotations

from pathlib import Path

import pandas as pd
import pytest
from mini_set import run
from PIL import Image

from medical_transfer.evaluation.predictor import load
from medical_transfer.runtime.files import read_json
from medical_transfer.types import UserError
from small_model import save_small_model
from toy import pixels

NAME = "validate"


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("models") / "0123456789abcdef"
    save_small_model(folder)
    return folder


@pytest.fixture(scope="module")
def pictures(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("labelled")
    for number, (picture, label) in enumerate(zip(*pixels(40, 11), strict=True)):
        folder = root / ("Normal", "sick")[label]
        folder.mkdir(exist_ok=True)
        Image.fromarray(picture).save(folder / f"p{number // 4 * 2 + label:02d}_{number}.png")
    (root / "other").mkdir()
    (root / "other/x.png").write_bytes(b"no image")
    return root


def given(model: Path, pictures: Path, more: dict | None = None) -> dict:
    classes = {"Normal": "healthy", "other": None}
    fields = {"images": str(pictures), "model": str(model), "group_pattern": "(p[0-9]+)_", "classes": classes}
    return {NAME: fields | (more or {})}


def test_a_frozen_model_is_measured_on_new_images(model: Path, pictures: Path, tmp_path: Path) -> None:
    before = {path: path.read_bytes() for path in model.iterdir()}
    run(tmp_path, given(model, pictures), NAME)
    table = pd.read_parquet(tmp_path / "07_model_output/validate_predictions.parquet")
    told = read_json(tmp_path / "08_reporting/validate_evaluation.json")
    assert len(table) == 41
    assert set(table["label"].dropna()) == {"healthy", "sick"}
    expected = load(model).predict(pictures).set_index("path")["p_sick"]
    assert (table.set_index("path")["p_sick"] - expected).abs().max() < 1e-6
    assert told["test"]["auroc"]["n"] == 40
    assert told["patients"]["auroc"]["n"] == 20
    assert told["recalibrated"] is not None
    page = (tmp_path / "08_reporting/validate_report.html").read_text(encoding="utf-8")
    assert "On 40 labelled images in 20 independent groups" in page
    assert {path: path.read_bytes() for path in model.iterdir()} == before


@pytest.mark.parametrize(
    ("more", "sentence"),
    [
        ({"classes": {"other": None}}, r"^validate\.images has the labels \['Normal'\], but the model knows"),
        ({"classes": {"Normal": None, "other": None, "sick": None}}, r"^validate\.images has no labels"),
        ({"classes": {"Nrmal": "healthy"}}, r"^validate\.classes names \['Nrmal'\], which were not found"),
        ({"images": None}, r"^validate\.images is not set"),
        ({"classes": {"Normal": True}}, r"validate\.classes.*put the class name in quotes"),
    ],
)
def test_labels_that_do_not_fit_stop_the_run(
    model: Path, pictures: Path, tmp_path: Path, more: dict, sentence: str
) -> None:
    with pytest.raises(UserError, match=sentence):
        run(tmp_path, given(model, pictures, more), NAME)
