"""The study of scores on small sets: its files, that it goes on, what fails by itself, and real images."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pandas as pd
import pytest
import torch
from mini_set import SIZE, marks, parameters, run
from safetensors.torch import save_file

from graphs import Tiny, export
from medical_transfer.models.architectures import build_architecture
from medical_transfer.runtime.files import read_json
from medical_transfer.runtime.provenance import PROJECT
from medical_transfer.transferability.agreement_file import read_agreement
from medical_transfer.types import UserError

STUDY = "study_transferability"
OUTPUTS = "08_reporting/studies/transferability"
SHARED = PROJECT.parent / "shared"
GRAPHS, NETWORK = ["tiny0", "tiny1", "tiny2"], "house/resnet20_cifar"


@pytest.fixture(scope="module")
def own(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """Three graphs and a network with layers, none of which was ever trained."""
    root = tmp_path_factory.mktemp("weights")
    own: dict[str, Any] = {
        name: {"path": str(export(Tiny(seed), root / f"{name}.onnx")), "architecture": "onnx", "output": "pooled"}
        for seed, name in enumerate(GRAPHS)
    }
    tensors: dict[str, torch.Tensor] = build_architecture(NETWORK, classes=10, seed=3).state_dict()
    save_file({name: tensor.contiguous() for name, tensor in tensors.items()}, root / "net.safetensors")
    own["net"] = {"path": str(root / "net.safetensors"), "architecture": NETWORK, "classes": 10}
    return {name: {**entry, "size": SIZE} for name, entry in own.items()}


def given_for(mini_set: Path, own: dict[str, Any], **fields: Any) -> dict[str, Any]:
    stripes = {"kind": "folder", "root": str(mini_set), "group_pattern": "p([0-9]+)_"}
    targets = {
        "brain_mri": None,
        "stripes": {"images": stripes},
        "one_way": {"images": {**stripes, "positive_class": "along"}, "split": {"test_fraction": 0.3}},
        "gone": {"images": {"kind": "folder", "root": str(mini_set / "nowhere")}},
    }
    study = {"targets": targets, "sources": [*own], "seeds": [0], **fields}
    return {"backbones": {"own": own}, STUDY: study}


def table(root: Path) -> pd.DataFrame:
    return pd.read_parquet(root / OUTPUTS / "results.parquet")


@pytest.fixture(scope="module")
def whole(mini_set: Path, own: dict[str, Any], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Root of one study of two targets and a third that is not there."""
    return run(tmp_path_factory.mktemp("scores"), given_for(mini_set, own), STUDY)


def test_the_table_has_scores_and_outcomes_of_every_pair(whole: Path) -> None:
    found = table(whole)
    assert list(found) == ["trial_id", "method", "setting", "seed", "metric", "value", "low", "high", "n", "seconds"]
    probes = found[found["metric"] == "probe_auroc"]
    sources = {(method, target) for method in (*GRAPHS, "net") for target in ("stripes", "one_way")}
    singles = probes[probes["method"].isin([*GRAPHS, "net"])]
    assert set(zip(singles["method"], singles["setting"], strict=True)) == sources
    assert ((probes["low"] <= probes["value"]) & (probes["value"] <= probes["high"])).all()
    assert set(probes["method"]) == {*GRAPHS, "net", "best_1", "best_2_side_by_side", "best_3_side_by_side"}
    scores = found[found["metric"] == "score/linear_probe"]
    assert scores["value"].between(0, 1).all()
    assert (scores["n"] <= 40).all(), "score_images"
    tuned = found[found["metric"] == "lp_ft_auroc"].set_index(["method", "setting"])["value"]
    assert tuned.loc[GRAPHS].isna().all()
    assert tuned.loc["net"].between(0, 1).all()
    manifest = pd.read_parquet(whole / "studies/transferability/prepared/stripes/0/03_primary/manifest.parquet")
    tested = ((manifest["split"] == "test") & (manifest["status"] == "ok")).sum()
    assert singles.loc[singles["setting"] == "stripes", "n"].unique().tolist() == [tested]


def test_the_best_single_source_is_the_best_by_its_training_images(whole: Path) -> None:
    found = table(whole)
    for target in ("stripes", "one_way"):
        mine = found[found["setting"] == target].set_index(["metric", "method"])["value"]
        best = mine.loc["score/linear_probe"].idxmax()
        assert mine.loc["probe_auroc", "best_1"] == mine.loc["probe_auroc", best]


def test_what_is_left_behind(whole: Path) -> None:
    folder = whole / OUTPUTS
    found = read_agreement(folder / "agreement.json")
    assert set(found) == {"probe_auroc", "lp_ft_auroc"}
    assert found["probe_auroc"].targets == ("stripes", "one_way")
    assert found["probe_auroc"].sources == (*GRAPHS, "net")
    undefined = read_json(folder / "agreement.json")["undefined"]
    assert set(undefined["rdm_spearman_mmd"]) == {*GRAPHS, "net"}, "there is no untrained network to compare with"
    (failure,) = read_json(folder / "failures.json")
    assert failure["trial"] == "not read, gone, seed 0"
    assert "nowhere, which does not exist" in failure["sentence"]
    words = (folder / "summary.md").read_text(encoding="utf-8")
    assert failure["sentence"] in words
    assert "With 2 targets and 4 sources nothing is claimed of scores" in words
    for name in ("outcomes", "scores", "mmd_and_performance"):
        assert (folder / f"{name}.png").stat().st_size > 5_000


def test_nothing_is_measured_twice_and_a_seed_more_computes_no_feature_again(
    whole: Path, mini_set: Path, own: dict[str, Any]
) -> None:
    before, features = table(whole), marks(whole / "04_feature")
    measured = marks(whole / "studies")
    run(whole, given_for(mini_set, own), STUDY)
    assert marks(whole / "studies") == measured
    pd.testing.assert_frame_equal(table(whole), before, check_exact=True)
    run(whole, given_for(mini_set, own, outcomes=["probe"], seeds=[0, 1], only=["stripes"]), STUDY)
    after = marks(whole / "04_feature")
    assert {name: after[name] for name in features} == features
    found = table(whole)
    assert set(found["metric"]) & {"lp_ft_auroc"} == set()
    assert set(found.loc[found["metric"] == "probe_auroc", "seed"]) == {0, 1}


def test_what_ends_the_study(mini_set: Path, own: dict[str, Any], tmp_path: Path) -> None:
    with pytest.raises(UserError, match="Unknown source 'lite9'"):
        run(tmp_path, given_for(mini_set, own, sources=["lite9", "net"]), STUDY)
    with pytest.raises(UserError, match=r"No target .* can be used; the first said: .*nowhere"):
        run(tmp_path, given_for(mini_set, own, only=["gone"]), STUDY)


def test_trials_of_the_main_jobs_parameters_are_not_touched(mini_set: Path, tmp_path: Path) -> None:
    classes = {"images": {"classes": {"along": "a", "across": "b"}}}
    with pytest.raises(UserError, match=r"images\.classes of this run would be mixed"):
        run(tmp_path, parameters(mini_set, **classes), STUDY)


@pytest.mark.shared
def test_real_sets_and_sources(tmp_path: Path) -> None:
    if not ((SHARED / "data/mednist_6x1000_64.npz").exists() and (SHARED / "weights/index.json").exists()):
        pytest.skip("needs mednist_6x1000_64.npz in ../shared/data and the weights of ../shared/weights")
    study = {
        "targets_root": str(SHARED / "data"),
        "weights_root": str(SHARED / "weights"),
        "only": ["mednist_6x1000_64"],
        "sources": ["shufflenetv2_x0_5_imagenet", "shufflenetv2_x0_5_coco"],
        "outcomes": ["probe"],
        "seeds": [0],
        "max_images": 60,
        "image_size": 64,
    }
    root = run(tmp_path, {STUDY: study}, STUDY)
    found = table(root)
    probes = found[(found["metric"] == "probe_auroc") & (found["setting"] == "mednist_6x1000_64")]
    assert len(probes) == 8 + 3  # all files of the folder, and the best of them side by side
    assert probes["value"].min() > 0.8, "modalities are easy"
    words = (root / OUTPUTS / "summary.md").read_text(encoding="utf-8")
    assert "are one graph, trained on ImageNet and on COCO" in words
    assert "CT_COVID" not in words
