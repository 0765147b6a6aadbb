"""Drift: what it says of the same images, of others, and of too few."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from medical_transfer.config.drift import Drift
from medical_transfer.data.new_images import find_new_images
from medical_transfer.evaluation.drift import group_codes
from medical_transfer.evaluation.drift_of_images import drift_of
from medical_transfer.models.card import TrainedModel
from medical_transfer.reporting.drift_page import render_drift
from medical_transfer.types import UserError
from small_model import save_small_model, write_pictures
from toy import SIZE


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> TrainedModel:
    folder = tmp_path_factory.mktemp("model")
    save_small_model(folder)
    return TrainedModel(folder)


def told_of(model: TrainedModel, root: Path, **fields) -> dict:
    asked = Drift(images=root, permutations=99, **fields)
    new = find_new_images(asked, model.card.wants, packages=root, scratch=None, block="drift")
    return drift_of(model, new, asked, seed=0)


def test_more_of_the_same_shows_no_drift(model: TrainedModel, tmp_path: Path) -> None:
    write_pictures(tmp_path, 40, seed=8)
    (tmp_path / "letter.jpg").write_bytes(b"Dear colleague")
    told = told_of(model, tmp_path)
    assert told["verdict"] == "no_sign"
    assert (told["images"], told["not_read"], told["validation_images"]) == (40, 1, 40)
    assert min(test["p_value"] for test in told["tests"].values()) > 0.025
    assert told["shares"]["validation"] == {"healthy": 0.5, "sick": 0.5}


def test_other_images_are_not_to_be_trusted(model: TrainedModel, tmp_path: Path) -> None:
    for number in range(12):
        nearly_plain = Image.new("L", (SIZE, SIZE), number)
        nearly_plain.putpixel((0, 0), number + 1)
        nearly_plain.save(tmp_path / f"{number}.png")
    told = told_of(model, tmp_path)
    assert told["verdict"] == "do_not_trust"
    assert told["novel"] == {"share": 1.0, "expected": 0.05}
    assert all(test["p_value"] == 0.01 for test in told["tests"].values())
    page = render_drift(told, model.card.model_dump(mode="json"), "new", "key")
    assert "Do not trust the model here: new" in page
    assert "100.0% of 12 images" in page
    never = told_of(model, tmp_path, novelty="none")
    assert (never["verdict"], never["novel"]) == ("differs", None)


def test_too_few_patients_have_no_test_but_a_reason(model: TrainedModel, tmp_path: Path) -> None:
    write_pictures(tmp_path, 8)
    told = told_of(model, tmp_path, group_pattern="(p[0-9]+)_")
    assert told["groups"] == 4
    assert told["tests"] == {}
    assert "40 independent groups of validation images and 4 of new ones" in told["reason"]
    assert "No test: " in " ".join(told["sentences"])


def test_nothing_to_hold_against_or_nothing_read_is_refused(model: TrainedModel, tmp_path: Path) -> None:
    (tmp_path / "letter.jpg").write_bytes(b"Dear colleague")
    with pytest.raises(UserError, match=r"None of 1 files of drift\.images can be read \(most often: not an image\)"):
        told_of(model, tmp_path)
    save_small_model(tmp_path / "model", saw=0)
    with pytest.raises(UserError, match="was saved without the features of its images"):
        told_of(TrainedModel(tmp_path / "model"), tmp_path)


def test_images_without_a_group_are_groups_of_their_own() -> None:
    groups = pd.Series(["a", None, "a", None], dtype="string")
    assert np.unique(group_codes(groups)).size == 3
    assert group_codes(groups)[0] == group_codes(groups)[2]
