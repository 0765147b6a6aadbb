"""The main job on sources that exist only as ONNX graphs: they compete, are built and predict where all is frozen."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from mini_set import SIZE, marks, parameters, predictions, run
from sklearn.metrics import roc_auc_score

from graphs import Tiny, export
from medical_transfer.data.cache import ImageCache
from medical_transfer.evaluation.predict import predict_manifest
from medical_transfer.models.card import TrainedModel
from medical_transfer.runtime.files import read_json
from medical_transfer.runtime.provenance import PROJECT
from medical_transfer.types import UserError

WEIGHTS = PROJECT.parent / "shared/weights"


def given_for(mini_set: Path, graph: Path, *, freeze: str = "all", **transferability: Any) -> dict[str, Any]:
    own = {"path": str(graph), "architecture": "onnx", "output": "pooled", "size": SIZE}
    return parameters(
        mini_set,
        backbones={"own": {"tiny": own}},
        transferability={"sources": ["random", "tiny"], **transferability},
        model={"freeze": freeze},
        augmentation={"views": 2},
    )


@pytest.fixture(scope="module")
def graph(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return export(Tiny(), tmp_path_factory.mktemp("graph") / "tiny.onnx")


@pytest.fixture(scope="module")
def built(mini_set: Path, graph: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Root of a whole run with a graph among its sources; no test changes it."""
    return run(tmp_path_factory.mktemp("built"), given_for(mini_set, graph))


def told(run_root: Path, file: str) -> Any:
    return json.loads((run_root / file).read_text(encoding="utf-8"))


def model_folder(run_root: Path) -> Path:
    (card,) = (run_root / "06_models/finetuned").glob("*/model.json")
    return card.parent


def test_a_graph_is_chosen_built_and_told_of(built: Path) -> None:
    scored = told(built, "08_reporting/transferability.json")
    assert scored["chosen"] == "tiny"
    plan = told(built, "06_models/model_plan.json")
    assert [(row["stage"], row["trainable"]) for row in plan["parameters"]] == [("graph", 0), ("head", 2 * 8)]
    card = json.loads((model_folder(built) / "model.json").read_text(encoding="utf-8"))
    assert (card["architecture"], card["graph_output"], card["source"]) == ("onnx", "pooled", "tiny")
    history = pd.read_parquet(built / "08_reporting/finetuned_history.parquet")
    assert set(history["phase"]) == {"head"}
    page = (built / "08_reporting/report.html").read_text(encoding="utf-8")
    assert "was kept as it is: only a new last part was trained" in page
    table = predictions(built)
    used = table["split"].isin(["train", "val", "test"]) & table["predicted"].notna()
    assert table.loc[used, "p_along"].between(0, 1).all()


def test_the_model_predicts_without_the_graphs_file(built: Path, graph: Path, tmp_path: Path) -> None:
    folder = Path(shutil.copytree(model_folder(built), tmp_path / "model"))
    hidden = graph.rename(tmp_path / "gone.onnx")
    try:
        manifest = pd.read_parquet(built / "03_primary/manifest.parquet")
        pointer = built / "05_model_input/image_cache.json"
        cache = ImageCache(pointer.parent / read_json(pointer)["folder"])
        again = predict_manifest(TrainedModel(folder), manifest, cache)
    finally:
        hidden.rename(graph)
    pd.testing.assert_frame_equal(again, predictions(built)[again.columns], check_exact=True, check_dtype=False)


def test_another_strategy_chooses_anew_and_computes_no_score_again(
    built: Path, mini_set: Path, graph: Path, tmp_path: Path
) -> None:
    root = Path(shutil.copytree(built, tmp_path / "run"))
    before = marks(root)
    run(root, given_for(mini_set, graph, freeze="partial"), "transferability")
    scored = told(root, "08_reporting/transferability.json")
    assert scored["chosen"] == "random"
    assert marks(root) == before
    run(root, given_for(mini_set, graph), "transferability")
    assert told(root, "08_reporting/transferability.json") == told(built, "08_reporting/transferability.json")
    run(root, given_for(mini_set, graph, chosen="random"), "transferability")
    assert told(root, "08_reporting/transferability.json")["chosen"] == "random"
    assert marks(root) == before


def test_a_graph_named_under_another_strategy_is_refused_before_anything_is_scored(
    mini_set: Path, graph: Path, tmp_path: Path
) -> None:
    given = given_for(mini_set, graph, freeze="none", chosen="tiny")
    run(tmp_path, given, "ingestion", "split")
    before = marks(tmp_path)
    with pytest.raises(UserError, match=r"chosen is 'tiny', .* set model\.freeze=all or name another source"):
        run(tmp_path, given, "transferability")
    assert marks(tmp_path) == before


@pytest.mark.shared
def test_real_graphs_tell_stripes_apart(mini_set: Path, tmp_path: Path) -> None:
    if not (WEIGHTS / "index.json").exists():
        pytest.skip(f"no real weights in {WEIGHTS}")
    names = ["shufflenetv2_x0_5_coco", "shufflenetv2_x0_5_imagenet"]
    given = parameters(
        mini_set,
        backbones={"weights_root": str(WEIGHTS)},
        transferability={"sources": [*names, "random"]},
        model={"freeze": "all"},
        training={"finetune": {"head_epochs": 20}},
    )
    root = run(tmp_path, given)
    scored = told(root, "08_reporting/transferability.json")
    assert scored["chosen"] in names
    assert told(root, "06_models/model_plan.json")["features"] == 192
    rows = predictions(root)
    rows = rows[rows["split"].isin(["val", "test"])]
    found = roc_auc_score(rows["label"] == "along", rows["p_along"])
    control = next(source for source in scored["sources"] if source["name"] == "random")
    assert found > max(0.8, np.mean(control["fold_aurocs"]))
