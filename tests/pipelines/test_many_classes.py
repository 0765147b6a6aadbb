"""Three classes with names that a careless program trips over."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from mini_set import parameters, picture, predictions, run
from PIL import Image

CLASSES = ["Körper (2) & more", "across", "along <b>"]


@pytest.fixture(scope="module")
def finished_with_three(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder, rng = tmp_path_factory.mktemp("three"), np.random.default_rng(11)
    for number, name in enumerate(CLASSES):
        (folder / "images" / name).mkdir(parents=True)
        for patient in range(16):
            pixels = picture("across" if number % 2 else "along", rng)
            shown = np.sort(pixels, axis=1) if number == 0 else pixels
            Image.fromarray(shown).save(folder / "images" / name / f"p{number}{patient:02d}_0.png")
    return run(folder / "run", parameters(folder / "images"))


def test_each_class_has_its_probability_and_there_is_no_threshold(finished_with_three: Path) -> None:
    table = predictions(finished_with_three)
    columns = [f"p_{name}" for name in CLASSES]
    np.testing.assert_allclose(table[columns].sum(axis=1), 1, atol=1e-9)
    assert table["predicted"].tolist() == table[columns].idxmax(axis=1).str.removeprefix("p_").tolist()
    assert table["decision"].isna().all()


def test_each_class_has_its_metrics(finished_with_three: Path) -> None:
    path = finished_with_three / "08_reporting/finetuned_evaluation.json"
    evaluation = json.loads(path.read_text(encoding="utf-8"))
    assert {f"auroc_{name}" for name in CLASSES} <= set(evaluation["test"])
    assert evaluation["about"]["threshold"] is None
    assert np.sum(evaluation["about"]["confusion"]["test"]) == evaluation["test"]["accuracy"]["n"]


def test_the_report_shows_names_as_they_are(finished_with_three: Path) -> None:
    page = (finished_with_three / "08_reporting/report.html").read_text(encoding="utf-8")
    assert "along &lt;b&gt;" in page
    assert "along <b>" not in page
    assert "Körper (2) &amp; more" in page
