"""`medical_adaptation` on a mini set and a negative of it: models side by side, chosen without labels, then judged."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from kedro.framework.project import pipelines
from mini_set import parameters, picture, run
from PIL import Image
from sklearn.metrics import roc_auc_score

from medical_transfer.metrics.label_free import information_maximisation
from medical_transfer.types import UserError

TASK = "medical_adaptation"
ORACLE = "target_oracle"
MODELS = ["source_only", "dann", "self_training", ORACLE]


@pytest.fixture(scope="module")
def films(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root, rng = tmp_path_factory.mktemp("abroad") / "films", np.random.default_rng(11)
    for label in ("across", "along"):
        (root / label).mkdir(parents=True)
        for patient in range(20):
            Image.fromarray(230 - picture(label, rng) // 2).save(root / label / f"c{patient}_0.png")
    return root


def given(mini_set: Path, films: Path, **target: Any) -> dict[str, Any]:
    return parameters(
        mini_set,
        target_images={"kind": "folder", "root": str(films), "site": "abroad"} | target,
        medical_adaptation={"methods": ["dann", "self_training"]},
    )


def facts(root: Path, name: str) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((root / f"{name}.json").read_text(encoding="utf-8"))
    return found


@pytest.fixture(scope="module")
def compared(mini_set: Path, films: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return run(tmp_path_factory.mktemp("compared"), given(mini_set, films), TASK)


def test_every_model_predicts_every_image_of_the_second_site(compared: Path) -> None:
    table = pd.read_parquet(compared / "07_model_output/adaptation_predictions.parquet")
    assert table["method"].unique().tolist() == MODELS
    assert (table.groupby("method").size() == 40).all()
    assert set(table["site"]) == {"abroad"}
    assert table["p_along"].notna().all()
    keys = facts(compared, "06_models/adaptation_candidates")["keys"]
    kinds = {name: facts(compared, f"06_models/adapted/{key}/model")["kind"] for name, key in keys.items()}
    assert kinds == dict(zip(MODELS, ["finetune", "dann", "self_training", "finetune"], strict=True))


def test_the_choice_is_the_best_label_free_score_and_never_the_oracle(compared: Path) -> None:
    table = pd.read_parquet(compared / "07_model_output/adaptation_predictions.parquet")
    choice = facts(compared, "08_reporting/adaptation_choice")
    val = table[table["split"] == "val"]
    by_hand = {
        name: information_maximisation(val.loc[val["method"] == name, ["p_across", "p_along"]].to_numpy())
        for name in MODELS[:3]
    }
    assert {name: scores["im"] for name, scores in choice["scores"].items()} == pytest.approx(by_hand)
    assert choice["chosen"] == max(by_hand, key=by_hand.__getitem__)
    assert choice["alarms"].keys() == by_hand.keys()
    assert choice["alarms"]["source_only"] == [] or "images are called" in choice["alarms"]["source_only"][0]
    pd.testing.assert_frame_equal(
        pd.read_parquet(compared / "07_model_output/adapted_predictions.parquet"),
        table[table["method"] == choice["chosen"]].drop(columns="method").reset_index(drop=True),
    )
    key = facts(compared, "06_models/adaptation_candidates")["keys"][choice["chosen"]]
    assert facts(compared, "06_models/adapted")["folder"] == f"adapted/{key}"


def test_labels_judge_each_model_with_intervals_and_tell_what_the_choice_cost(compared: Path) -> None:
    table = pd.read_parquet(compared / "07_model_output/adaptation_predictions.parquet")
    told = facts(compared, "08_reporting/adapted_evaluation")
    test = table[table["split"] == "test"]
    aurocs = {name: roc_auc_score(rows["label"] == "along", rows["p_along"]) for name, rows in test.groupby("method")}
    for name in MODELS:
        row = told["methods"][name]["test"]["auroc"]
        assert row["estimate"] == pytest.approx(aurocs[name])
        assert row["n"] == (test["method"] == name).sum()
        assert row["low"] <= row["estimate"] <= row["high"]
    free = {name: aurocs[name] for name in MODELS[:3]}
    assert aurocs[told["best_by_labels"]] == pytest.approx(max(free.values()))
    assert told["gap"] == pytest.approx(max(free.values()) - free[told["chosen"]])
    assert told["test"] == told["methods"][told["chosen"]]["test"]


def test_the_page_and_the_figure_are_there(compared: Path) -> None:
    page = (compared / "08_reporting/adapted_report.html").read_text(encoding="utf-8")
    for words in ("Without labels", "With labels", "DANN", "trained on the target&#39;s labels", "Sites told apart"):
        assert words in page, words
    assert (compared / "08_reporting/adaptation_methods.png").stat().st_size > 1000
    invariance = facts(compared, "08_reporting/adaptation_invariance")
    assert list(invariance) == MODELS
    assert all(-2 <= value <= 2 for value in invariance.values())


def test_without_any_label_there_is_a_choice_and_no_number(mini_set: Path, films: Path, tmp_path: Path) -> None:
    plain = tmp_path / "plain"
    plain.mkdir()
    for path in films.glob("*/*.png"):
        (plain / f"{path.parent.name}_{path.name}").write_bytes(path.read_bytes())
    root = run(tmp_path / "run", given(mini_set, plain), TASK)
    candidates, told = facts(root, "06_models/adaptation_candidates"), facts(root, "08_reporting/adapted_evaluation")
    assert list(candidates["keys"]) == MODELS[:3]
    assert candidates["no_oracle"] == "the second site has no labels"
    assert (told["gap"], told["best_by_labels"]) == (None, None)
    assert told["test"]["auroc"]["estimate"] is None
    assert told["chosen"] in MODELS[:3]
    assert "lack labels" in (root / "08_reporting/adapted_report.html").read_text(encoding="utf-8")


def test_strictly_unlabelled_labels_are_dropped_at_the_door(mini_set: Path, films: Path, tmp_path: Path) -> None:
    root = run(tmp_path / "run", given(mini_set, films, strict_unlabelled=True), TASK)
    manifest = pd.read_parquet(root / "03_primary/target_manifest.parquet")
    assert len(manifest) == 40
    assert manifest["label"].isna().all()
    assert pd.read_parquet(root / "02_intermediate/target_audit.parquet")["label"].isna().all()
    assert pd.read_parquet(root / "07_model_output/adaptation_predictions.parquet")["label"].isna().all()
    told = facts(root, "08_reporting/adapted_evaluation")
    assert "dropped at the door (target_images.strict_unlabelled)" in told["no_oracle"]
    assert (told["test"]["auroc"]["estimate"], told["best_by_labels"]) == (None, None)
    assert ORACLE not in told["methods"]
    assert "dropped at the door" in (root / "08_reporting/adapted_report.html").read_text(encoding="utf-8")


BAD: dict[str, tuple[dict[str, Any], str]] = {
    "other classes": (
        {"target_images": {"classes": {"across": "lying"}}},
        r"second site has the classes \['lying'\], which the first does not.* target_images\.classes",
    ),
    "another size": ({"target_images": {"size": 48}}, r"needs both sites alike, but images are 64 px.*leave target_im"),
    "smaller than a batch": (
        {"training": {"batch_size": 64}},
        r"has \d+ usable training images, fewer than a batch of 64: lower training\.batch_size",
    ),
    "a negative alpha": ({"training": {"dann": {"reversal": -1}}}, r"'training\.dann\.reversal' is -1: it should be"),
}
"""What contradicts itself, and what is said of it."""


@pytest.mark.parametrize("case", BAD)
def test_bad_input_is_one_sentence_before_anything_is_trained(
    case: str, mini_set: Path, films: Path, tmp_path: Path
) -> None:
    changes, sentence = BAD[case]
    asked = given(mini_set, films)
    for block, values in changes.items():
        asked[block] = asked.get(block, {}) | values
    with pytest.raises(UserError, match=sentence):
        run(tmp_path / "run", asked, TASK)
    assert not list((tmp_path / "run").rglob("model.safetensors"))


def test_an_empty_second_site_is_refused(mini_set: Path, tmp_path: Path) -> None:
    (tmp_path / "films").mkdir()
    with pytest.raises(UserError, match=r"films holds no files: set target_images\.root to a folder"):
        run(tmp_path / "run", given(mini_set, tmp_path / "films"), TASK)


def test_a_first_site_without_labels_is_refused(films: Path, tmp_path: Path) -> None:
    plain = tmp_path / "plain"
    plain.mkdir()
    for number, path in enumerate(films.glob("*/*.png")):
        (plain / f"p{number}_0.png").write_bytes(path.read_bytes())
    with pytest.raises(UserError, match=r"None of 40 files is usable \(40 x no label\)"):
        run(tmp_path / "run", given(plain, films), TASK)


def test_without_a_second_site_it_is_refused_before_any_work(mini_set: Path, tmp_path: Path) -> None:
    with pytest.raises(
        UserError, match=r"training\.kind=dann learns from a second site .* target_images\.kind is none"
    ):
        run(tmp_path / "run", parameters(mini_set), TASK)
    assert not list((tmp_path / "run").rglob("*.parquet"))


def test_labels_of_the_second_site_reach_two_nodes_only() -> None:
    """What reads the target's manifest: its own split, the trained models' rows (labels dropped), and the bound."""
    readers = {node.func.__name__ for node in pipelines[TASK].nodes if "target_manifest" in node.inputs}
    assert readers == {"train_candidates", "predict_candidates", "measure_invariance", "compare_sites"}
