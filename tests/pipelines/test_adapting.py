"""Methods of adaptation in the main job: a second site's images count, its labels don't; fine-tuning sees neither."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from mini_set import parameters, picture, run
from PIL import Image

from medical_transfer.types import UserError

STAGES = ("ingestion", "split", "target_ingestion", "target_split", "transferability", "model_building", "training")


@pytest.fixture(scope="module")
def abroad(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Negatives of the same stripes, with less contrast."""
    root, rng = tmp_path_factory.mktemp("abroad") / "films", np.random.default_rng(11)
    for label in ("across", "along"):
        (root / label).mkdir(parents=True)
        for patient in range(14):
            Image.fromarray(230 - picture(label, rng) // 2).save(root / label / f"c{patient}_0.png")
    return root


def given(mini_set: Path, abroad: Path, kind: str, **training: Any) -> dict[str, Any]:
    target = {"kind": "folder", "root": str(abroad)}
    return parameters(mini_set, target_images=target, training={"kind": kind, **training})


def model_of(root: Path) -> Path:
    pointer = root / "06_models/finetuned.json"
    return pointer.parent / json.loads(pointer.read_text(encoding="utf-8"))["folder"]


def card_of(root: Path) -> dict[str, Any]:
    card: dict[str, Any] = json.loads((model_of(root) / "model.json").read_text(encoding="utf-8"))
    return card


@pytest.fixture(scope="module")
def adapted(mini_set: Path, abroad: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return run(tmp_path_factory.mktemp("adapted"), given(mini_set, abroad, "dann"))


def test_the_main_job_adapts_and_says_so(adapted: Path) -> None:
    card = card_of(adapted)
    assert (card["kind"], card["selection"]) == ("dann", "im")
    history = pd.read_parquet(adapted / "08_reporting/finetuned_history.parquet")
    assert set(history) >= {"selection", "val_auroc", "im", "snd", "bnm", "entropy", "train_domain"}
    assert history.loc[history["phase"] == "trunk", "train_domain"].notna().all()
    page = (adapted / "08_reporting/report.html").read_text(encoding="utf-8")
    assert "without their labels" in page
    assert "Epoch chosen by" in page


def test_labels_of_the_second_site_cannot_change_a_bit(mini_set: Path, abroad: Path, tmp_path: Path) -> None:
    table = [(f"{path.parent.name}/{path.name}", path.parent.name) for path in sorted(abroad.glob("*/*.png"))]
    swapped = {"across": "along", "along": "across"}
    found = []
    for name, words in (("true", {}), ("swapped", swapped), ("one", dict.fromkeys(swapped, "along"))):
        frame = pd.DataFrame([(path, words.get(label, label)) for path, label in table], columns=["path", "label"])
        frame.to_csv(tmp_path / f"{name}.csv", index=False)
        asked = given(mini_set, abroad, "mmd", adaptation={"selection": "bnm"})
        asked["target_images"] = {"kind": "table", "root": str(abroad), "table": str(tmp_path / f"{name}.csv")}
        root = run(tmp_path / name, asked, *STAGES)
        card = {key: value for key, value in card_of(root).items() if key not in ("sha256", "card_sha256")}
        history = pd.read_parquet(root / "08_reporting/finetuned_history.parquet").drop(columns="seconds")
        found.append(((model_of(root) / "model.safetensors").read_bytes(), card, history))
    for weights, card, history in found[1:]:
        assert weights == found[0][0]
        assert card == found[0][1]
        pd.testing.assert_frame_equal(history, found[0][2], check_exact=True)


def test_a_fine_tuned_model_does_not_depend_on_a_second_site(
    adapted: Path, finished: Path, mini_set: Path, abroad: Path, tmp_path: Path
) -> None:
    plain = run(tmp_path, given(mini_set, abroad, "finetune", mmd={"weight": 9}), *STAGES)
    assert model_of(plain).name == model_of(finished).name != model_of(adapted).name


def test_a_second_site_smaller_than_a_batch_is_refused(mini_set: Path, abroad: Path, tmp_path: Path) -> None:
    asked = given(mini_set, abroad, "coral", batch_size=30)
    with pytest.raises(UserError, match=r"usable training images, fewer than a batch of 30"):
        run(tmp_path, asked, *STAGES)


def test_without_a_second_site_it_is_refused_before_any_work(mini_set: Path, tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"training\.kind=dann learns from a second site"):
        run(tmp_path / "run", parameters(mini_set, training={"kind": "dann"}))
    assert not list((tmp_path / "run").rglob("*.parquet"))
