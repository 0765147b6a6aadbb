"""The medical study of few-shot learning on small sets of pictures: its files, and a set that is not there."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from mini_set import marks, run

from medical_transfer.runtime.files import read_json

STUDY = "study_few_shot_medical"
OUTPUTS = "08_reporting/studies/few_shot_medical"
MODALITIES = {"one": "MRI", "two": "CT", "three": "X-ray", "gone": "X-ray"}


def given_for(mini_set: Path, **fields: Any) -> dict[str, Any]:
    stripes = {"images": {"kind": "folder", "root": str(mini_set), "group_pattern": "p([0-9]+)_"}}
    gone = {"images": {"kind": "folder", "root": str(mini_set / "nowhere")}}
    targets = {"brain_mri": None, "one": stripes, "two": stripes, "three": stripes, "gone": gone}
    named = {"targets": targets, "only": list(MODALITIES), "modalities": MODALITIES, "held_out": ["CT", "X-ray"]}
    return {STUDY: {**named, **fields}}


@pytest.fixture(scope="module")
def whole(mini_set: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Root of one study of three sets and a fourth that is not there."""
    return run(tmp_path_factory.mktemp("few_shot_medical"), given_for(mini_set), STUDY)


def test_all_is_written_and_a_set_that_is_not_there_is_named(whole: Path) -> None:
    found = pd.read_parquet(whole / OUTPUTS / "results.parquet")
    told = found[found["metric"] == "accuracy_2_shot"]
    methods = ("nearest_centroid", "linear_probe", "prototypical", "anil")
    assert set(zip(told["setting"], told["method"], strict=True)) == {
        (fold, method) for fold in ("CT", "X-ray") for method in methods
    }
    sizes = found[found["method"] == "set"].set_index(["setting", "metric"])["value"]
    assert sizes["two", "classes"] == 2
    assert sizes["two", "groups"] < sizes["two", "images"], "shots of a patient, and copies, are one group"
    failures = read_json(whole / OUTPUTS / "failures.json")
    assert [each["trial"] for each in failures] == ["not read, gone, seed 0"]
    text = (whole / OUTPUTS / "summary.md").read_text(encoding="utf-8")
    assert "- X-ray: tested on three; validated on one; learned from two" in text
    assert "nowhere" in text
    assert (whole / OUTPUTS / "accuracies.png").stat().st_size > 10_000


def test_the_same_command_goes_on(whole: Path, mini_set: Path) -> None:
    before = marks(whole / "studies/few_shot_medical")
    run(whole, given_for(mini_set), STUDY)
    assert marks(whole / "studies/few_shot_medical") == before
