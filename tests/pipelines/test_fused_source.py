"""The main job on several sources side by side: scored from their own features, built, resumed and predicting."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pandas as pd
import pytest
from mini_set import SIZE, marks, parameters, predictions, run
from safetensors.torch import save_file

from graphs import WIDTH, Tiny, export
from medical_transfer.config.backbones import Backbones
from medical_transfer.config.transferability import Transferability
from medical_transfer.data.cache import ImageCache
from medical_transfer.evaluation.predict import predict_manifest
from medical_transfer.models.architectures import build_architecture
from medical_transfer.models.backbones import find_source
from medical_transfer.models.card import TrainedModel
from medical_transfer.pipelines.transferability.scoring import SourceFeatures, _evidence, _side_by_side
from medical_transfer.runtime.files import read_json
from medical_transfer.training.callbacks import KeepBest
from medical_transfer.types import UserError

NET_WIDTH, EPOCHS = 64, 3


@pytest.fixture(scope="module")
def weights(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("weights")
    export(Tiny(), folder / "tiny.onnx")
    save_file(build_architecture("house/resnet20_cifar", classes=3, seed=1).state_dict(), folder / "net.safetensors")
    return folder


def given_for(mini_set: Path, weights: Path, *, freeze: str = "all", **transferability: Any) -> dict[str, Any]:
    tiny = {"path": str(weights / "tiny.onnx"), "architecture": "onnx", "output": "pooled", "size": SIZE}
    net = {"path": str(weights / "net.safetensors"), "architecture": "house/resnet20_cifar", "classes": 3}
    own = {"tiny": tiny | {"licence": "CC BY-NC 4.0", "channels": "BGR"}, "net": net | {"mean": [0.5, 0.5, 0.5]}}
    return parameters(
        mini_set,
        backbones={"own": own},
        transferability={"sources": ["tiny", "net", "net+tiny"], "chosen": "net+tiny"} | transferability,
        model={"freeze": freeze},
        augmentation={"views": 1},
        training={"finetune": {"head_epochs": EPOCHS}},
    )


@pytest.fixture(scope="module")
def built(mini_set: Path, weights: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Root of a whole run on two sources side by side; no test changes it."""
    return run(tmp_path_factory.mktemp("built"), given_for(mini_set, weights))


def scores(run_root: Path) -> dict[str, Any]:
    return json.loads((run_root / "08_reporting/transferability.json").read_text(encoding="utf-8"))


def model_folder(run_root: Path) -> Path:
    (card,) = (run_root / "06_models/finetuned").glob("*/model.json")
    return card.parent


def test_each_network_is_run_once_for_the_scores(built: Path) -> None:
    features = [np.load(path) for path in (built / "04_feature").rglob("features.npy")]
    assert sorted(each.shape[1] for each in features) == [WIDTH, NET_WIDTH]
    tiny, net, both = scores(built)["sources"]
    assert (both["name"], both["features"], both["trainable"]) == ("net+tiny", NET_WIDTH + WIDTH, False)
    assert both["seconds"] == pytest.approx(tiny["seconds"] + net["seconds"], abs=2e-3)
    assert both["licence"] == "unknown; CC BY-NC 4.0"
    assert len(both["fold_aurocs"]) == 2
    assert "net+tiny" in scores(built)["ranking"]["linear_probe"]


def test_scores_know_which_features_are_of_which_source() -> None:
    each = [
        SourceFeatures(np.full((6, 2), 1.0, np.float32), 1.5, None, "no head"),
        SourceFeatures(np.full((6, 3), 2.0, np.float32), 2.0, None, "no head"),
    ]
    together = _side_by_side(each)
    assert (together.features_ND[0].tolist(), together.seconds) == ([1, 1, 2, 2, 2], 3.5)
    rows = SimpleNamespace(labels_N=np.arange(6) % 2, groups_N=np.arange(6))
    scoring = SimpleNamespace(shown=SimpleNamespace(rows=rows), config=Transferability(), seed=0)
    source = find_source("resnet18+resnet50", Backbones())
    assert _evidence(source, together, None, scoring).widths == (2, 3)
    assert _evidence(source.parts[0], each[0], None, scoring).widths == ()


def test_it_is_built_and_told_of(built: Path) -> None:
    card = json.loads((model_folder(built) / "model.json").read_text(encoding="utf-8"))
    assert (card["source"], card["architecture"], card["features"]) == ("net+tiny", "fused", NET_WIDTH + WIDTH)
    assert [member["source"] for member in card["members"]] == ["net", "tiny"]
    plan = json.loads((built / "06_models/model_plan.json").read_text(encoding="utf-8"))
    assert [(row["stage"], row["trainable"]) for row in plan["parameters"]] == [("members", 0), ("head", 2 * 72)]
    page = (built / "08_reporting/report.html").read_text(encoding="utf-8")
    assert "The pretrained networks net and tiny side by side" in page
    assert "were kept as they are: only a new last part was trained" in page
    for licence in (r"weights of net</th><td>unknown", "weights of tiny</th><td>CC BY-NC 4.0"):
        assert licence in page.replace("\n", "")


def test_the_model_predicts_without_the_members_files(built: Path, weights: Path, tmp_path: Path) -> None:
    folder = Path(shutil.copytree(model_folder(built), tmp_path / "model"))
    hidden = weights.rename(tmp_path / "gone")
    try:
        manifest = pd.read_parquet(built / "03_primary/manifest.parquet")
        pointer = built / "05_model_input/image_cache.json"
        cache = ImageCache(pointer.parent / read_json(pointer)["folder"])
        again = predict_manifest(TrainedModel(folder), manifest, cache)
    finally:
        hidden.rename(weights)
    pd.testing.assert_frame_equal(again, predictions(built)[again.columns], check_exact=True, check_dtype=False)


def test_a_run_that_stops_goes_on_from_its_last_epoch(
    built: Path, mini_set: Path, weights: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    root = Path(shutil.copytree(built, tmp_path / "run"))
    shutil.rmtree(root / "06_models/finetuned")
    given, epochs, judge = given_for(mini_set, weights), [], KeepBest.on_train_epoch_end

    def counted(self: KeepBest, trainer: Any, module: Any) -> None:
        epochs.append(trainer.current_epoch)
        if len(epochs) == 2:
            raise RuntimeError("the lights went out")
        judge(self, trainer, module)

    monkeypatch.setattr(KeepBest, "on_train_epoch_end", counted)
    with pytest.raises(RuntimeError, match="the lights"):
        run(root, given, "training")
    run(root, given, "training")
    assert epochs == [0, 1, *range(1, EPOCHS)]
    one, other = (model_folder(each) / "model.safetensors" for each in (root, built))
    assert one.read_bytes() == other.read_bytes()


def test_it_competes_where_all_is_frozen_only(built: Path, mini_set: Path, weights: Path, tmp_path: Path) -> None:
    root = Path(shutil.copytree(built, tmp_path / "run"))
    before = marks(root)
    with pytest.raises(UserError, match=r"chosen is 'net\+tiny', which is several sources side by side and gives froz"):
        run(root, given_for(mini_set, weights, freeze="partial"), "transferability")
    run(root, given_for(mini_set, weights, freeze="partial", chosen=None), "transferability")
    assert scores(root)["chosen"] == "net"
    assert marks(root) == before  # neither features nor scores are made again


def test_the_best_ones_compete_side_by_side_where_asked_for(
    built: Path, mini_set: Path, weights: Path, tmp_path: Path
) -> None:
    root = Path(shutil.copytree(built, tmp_path / "run"))
    sources = ["random", "tiny", "net"]  # of which the untrained one is none of the best, however few there are
    given = given_for(mini_set, weights, fuse=3, chosen=None, sources=sources)
    run(root, given, "transferability")
    told = scores(root)
    order = [name for name in told["ranking"]["linear_probe"] if name in ("tiny", "net")]
    rows = {row["name"]: row for row in told["sources"]}
    assert list(rows) == ["random", "tiny", "net", "+".join(order)]
    known = next(row for row in scores(built)["sources"] if row["name"] == "net+tiny")
    assert rows["+".join(order)]["fold_aurocs"] == pytest.approx(known["fold_aurocs"], abs=1e-3)
    assert len(list((root / "04_feature").rglob("features.npy"))) == 3
    again = given_for(mini_set, weights, fuse=3, chosen=None)  # where it competes already, nothing is added
    run(root, again, "transferability")
    assert [row["name"] for row in scores(root)["sources"]] == ["tiny", "net", "net+tiny"]
