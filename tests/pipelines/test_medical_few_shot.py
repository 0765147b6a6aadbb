"""`medical_few_shot` on the mini set: episodes, one classifier from a few images, its metrics and its page."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from mini_set import parameters, run

from medical_transfer.evaluation.few_shot_baselines import BASELINES
from medical_transfer.types import UserError

TASK, EPISODES = "medical_few_shot", 12


def given(mini_set: Path, **own: Any) -> dict[str, Any]:
    shape = {"shots": 1, "queries": 1, "episodes": EPISODES} | own
    return parameters(mini_set, medical_few_shot=shape, split={"test_fraction": 0.3})


@pytest.fixture(scope="module")
def finished_few(mini_set: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return run(tmp_path_factory.mktemp("few"), given(mini_set), TASK)


def facts(root: Path, name: str) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((root / f"{name}.json").read_text(encoding="utf-8"))
    return found


def test_all_baselines_stand_in_one_table(finished_few: Path) -> None:
    table = pd.read_parquet(finished_few / "07_model_output/few_shot_episodes.parquet")
    assert (table.groupby(["split", "method"]).size() == EPISODES).all()
    assert set(zip(table["split"], table["method"], strict=True)) == {
        (split, name) for split in ("train", "test") for name in BASELINES
    }
    over = facts(finished_few, "08_reporting/few_shot_evaluation")["episodes"]
    for (split, name), mine in table.groupby(["split", "method"]):
        half = 1.959964 * mine["accuracy"].std(ddof=1) / np.sqrt(EPISODES)
        row = over[split][name]
        assert (row["estimate"], row["low"]) == pytest.approx((mine["accuracy"].mean(), mine["accuracy"].mean() - half))
        assert row["n"] == EPISODES


def test_the_model_is_chosen_by_training_images_and_predicts_all(finished_few: Path) -> None:
    evaluation = facts(finished_few, "08_reporting/few_shot_evaluation")
    train = {name: row["estimate"] for name, row in evaluation["episodes"]["train"].items() if name != "fine_tune"}
    assert evaluation["classifier"] == max(train, key=lambda name: train[name])
    (card,) = (finished_few / "06_models/few_shot").glob("*/model.json")
    assert facts(card.parent, "model")["kind"] == f"few_shot/{evaluation['classifier']}"
    table = pd.read_parquet(finished_few / "07_model_output/few_shot_predictions.parquet")
    used = (table["split"] != "excluded") & table["predicted"].notna()
    assert used.sum() > 40
    right = (table["predicted"] == table["label"])[used & (table["split"] == "test")].mean()
    assert evaluation["test"]["accuracy"]["estimate"] == pytest.approx(right)


def test_the_page_says_what_it_rests_on(finished_few: Path) -> None:
    page = (finished_few / "08_reporting/few_shot_report.html").read_text(encoding="utf-8")
    assert "fewer than 600 episodes" in page
    assert "not calibrated" in page
    assert page.count("<table>") == 2


def test_too_few_images_for_an_episode_are_refused(mini_set: Path, tmp_path: Path) -> None:
    with pytest.raises(UserError, match="lower `shots` or `queries`"):
        run(tmp_path, given(mini_set, shots=40), TASK)
