"""The main job with gradual unfreezing: a phase for each stage, caches of one pass, images where those are lighter."""

from __future__ import annotations

import json
import re
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from mini_set import SIZE, parameters, run

STAGES = 9


@pytest.fixture(scope="module")
def thawed(mini_set: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    training = {"epochs": 10, "finetune": {"unfreezing": "gradual", "head_epochs": 1}}
    return run(tmp_path_factory.mktemp("thawed"), parameters(mini_set, model={"freeze": "none"}, training=training))


def test_the_history_has_a_phase_for_each_stage_and_all_epochs(thawed: Path) -> None:
    history = pd.read_parquet(thawed / "08_reporting/finetuned_history.parquet")
    thaws = [f"thaw_{number}" for number in range(1, STAGES + 1)]
    assert history["phase"].tolist() == ["head", *thaws, thaws[-1]]
    (card,) = (thawed / "06_models/finetuned").glob("*/model.json")
    assert set(json.loads(card.read_text(encoding="utf-8"))["number_formats"]) == {"head", *thaws}


def test_activations_are_kept_where_they_weigh_no_more_than_the_images(thawed: Path) -> None:
    folders = [folder for folder in (thawed / "04_feature").iterdir() if list(folder.glob("cut*_view*.npy"))]
    assert len(folders) == 2  # training and validation, all cuts of each together
    for folder in folders:
        cuts = {int(re.match(r"cut(\d+)", path.name)[1]) for path in folder.glob("cut*_view*.npy")}
        assert cuts == {3, 4, 5, 6, 7, 8, STAGES}
        for cut in cuts - {STAGES}:
            rows = np.load(folder / f"cut{cut}_view0.npy", mmap_mode="r")
            assert rows[0].nbytes <= SIZE * SIZE * 3
