"""`medical_adaptation` on a mini set and a negative of it: models side by side, chosen without labels, then judged."""

from __future__ import annotations

import json
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from kedro.framework.project import pipelines
from mini_set import parameters, picture, run
from PIL import Image
from safetensors.torch import load_file, save_file
from sklearn.metrics import roc_auc_score

from medical_transfer.data.cache import ImageCache
from medical_transfer.metrics.label_free import information_maximisation
from medical_transfer.models.architectures import build_architecture
from medical_transfer.types import UserError

Given = Callable[..., dict[str, Any]]

TASK = "medical_adaptation"
ORACLE = "target_oracle"
SIMPLE = ["histogram_matching", "stronger_augmentation", "batch_norm", "feature_alignment"]
MODELS = ["source_only", *SIMPLE, "dann", "self_training", ORACLE]
KINDS = ["finetune", "finetune", "finetune", "batch_norm", "feature_alignment", "dann", "self_training", "finetune"]
FREE = MODELS[:-1]


@pytest.fixture(scope="module")
def films(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root, rng = tmp_path_factory.mktemp("abroad") / "films", np.random.default_rng(11)
    for label in ("across", "along"):
        (root / label).mkdir(parents=True)
        for patient in range(20):
            Image.fromarray(230 - picture(label, rng) // 2).save(root / label / f"c{patient}_0.png")
    return root


@pytest.fixture(scope="module")
def network(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A small untrained network: what is tried here is what becomes of models, not how good they are."""
    path = tmp_path_factory.mktemp("own") / "tiny.safetensors"
    save_file(build_architecture("house/resnet20_cifar", classes=3, seed=1).state_dict(), path)
    return path


@pytest.fixture
def given(mini_set: Path, films: Path, network: Path) -> Given:
    return partial(asked, mini_set, films, network)


def asked(mini_set: Path, films: Path, network: Path, *, first: Path | None = None, **blocks: Any) -> dict[str, Any]:
    """Parameters of a run; blocks are added to those of two folders, and one method without simple means."""
    target = {"kind": "folder", "root": str(films), "site": "abroad"} | blocks.pop("target_images", {})
    means = {"methods": ["dann"], "simple_means": []} | blocks.pop("medical_adaptation", {})
    own = {"path": str(network), "architecture": "house/resnet20_cifar", "classes": 3}
    return parameters(
        first or mini_set,
        target_images=target,
        medical_adaptation=means,
        transferability={"sources": ["tiny"]},
        backbones={"own": {"tiny": own}},
        **blocks,
    )


def facts(root: Path, name: str) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((root / f"{name}.json").read_text(encoding="utf-8"))
    return found


@pytest.fixture(scope="module")
def compared(mini_set: Path, films: Path, network: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    means = {"methods": ["dann", "self_training"], "simple_means": SIMPLE}
    given = asked(mini_set, films, network, medical_adaptation=means, augmentation={"policy": "gentle"})
    return run(tmp_path_factory.mktemp("compared"), given, TASK)


def test_every_model_predicts_every_image_of_the_second_site(compared: Path) -> None:
    table = pd.read_parquet(compared / "07_model_output/adaptation_predictions.parquet")
    assert table["method"].unique().tolist() == MODELS
    assert (table.groupby("method").size() == 40).all()
    assert set(table["site"]) == {"abroad"}
    assert table["p_along"].notna().all()
    keys = facts(compared, "06_models/adaptation_candidates")["keys"]
    kinds = {name: facts(compared, f"06_models/adapted/{key}/model")["kind"] for name, key in keys.items()}
    assert kinds == dict(zip(MODELS, KINDS, strict=True))
    assert facts(compared, "06_models/adaptation_candidates")["left_out"] == {}
    assert len(set(keys.values())) == len(MODELS)


def test_the_choice_is_the_best_label_free_score_and_never_the_oracle(compared: Path) -> None:
    table = pd.read_parquet(compared / "07_model_output/adaptation_predictions.parquet")
    choice = facts(compared, "08_reporting/adaptation_choice")
    val = table[table["split"] == "val"]
    by_hand = {
        name: information_maximisation(val.loc[val["method"] == name, ["p_across", "p_along"]].to_numpy())
        for name in FREE
    }
    assert {name: scores["im"] for name, scores in choice["scores"].items()} == pytest.approx(by_hand)
    assert choice["chosen"] == max(by_hand, key=by_hand.__getitem__)
    assert choice["alarms"].keys() == by_hand.keys()
    assert set(choice["scores"]["dann"]) == {"im", "entropy", "snd", "bnm", "dev", "source"}
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
    free = {name: aurocs[name] for name in FREE}
    assert aurocs[told["best_by_labels"]] == pytest.approx(max(free.values()))
    assert told["gap"] == pytest.approx(max(free.values()) - free[told["chosen"]])
    assert told["test"] == told["methods"][told["chosen"]]["test"]
    scores = facts(compared, "08_reporting/adaptation_choice")["scores"]
    for score, cost in told["choices"].items():
        known = {name: found[score] for name, found in scores.items() if found[score] is not None}
        assert cost["chosen"] == max(known, key=known.__getitem__)
        assert cost["gap"] == pytest.approx(max(free.values()) - free[cost["chosen"]])


def test_simple_means_change_what_they_say_and_nothing_else(compared: Path) -> None:
    candidates = facts(compared, "06_models/adaptation_candidates")
    keys, homes = candidates["keys"], candidates["at_home"]
    states = {name: load_file(compared / f"06_models/adapted/{key}/model.safetensors") for name, key in keys.items()}
    plain, changed = states["source_only"], states["batch_norm"]
    moved = {name for name in plain if not torch.equal(plain[name], changed[name])}
    assert moved
    assert all(name.endswith(("running_mean", "running_var", "num_batches_tracked")) for name in moved)
    assert homes["batch_norm"] == {"model": keys["source_only"], "cache": None}
    assert homes["feature_alignment"] == {"model": None, "cache": None}

    places = [f"images/{homes['histogram_matching']['cache']}"]
    places += [facts(compared, f"05_model_input/{name}")["folder"] for name in ("image_cache", "target_image_cache")]
    caches = [ImageCache(compared / "05_model_input" / place) for place in places]
    manifests = [pd.read_parquet(compared / f"03_primary/{name}.parquet") for name in ("manifest", "target_manifest")]
    train = [frame.loc[(frame["split"] == "train") & (frame["status"] == "ok"), "image_id"] for frame in manifests]
    there = caches[2].pixels_NSS3[caches[2].slots(train[1])]
    means = [cache.pixels_NSS3[cache.slots(train[0])].mean() for cache in caches[:2]]
    assert means[0] == pytest.approx(there.mean(), abs=1)
    assert abs(means[1] - there.mean()) > 10


def test_the_sites_are_seen_as_each_model_sees_them(compared: Path) -> None:
    """Source labels judge; what is aligned has the mean that the target has."""
    embedded = facts(compared, "07_model_output/adaptation_embeddings")
    assert list(embedded) == MODELS
    scores = facts(compared, "08_reporting/adaptation_choice")["scores"]
    for name in FREE:
        folder = compared / "07_model_output/both_sites" / embedded[name]
        assert facts(folder, "judged") == {score: scores[name][score] for score in ("dev", "source")}
    places = pd.read_parquet(compared / "08_reporting/adaptation_map.parquet")
    chosen = facts(compared, "08_reporting/adaptation_choice")["chosen"]
    assert places["method"].unique().tolist()[0] == "source_only"
    assert chosen in {"source_only", *places["method"]}
    with np.load(compared / "07_model_output/both_sites" / embedded["source_only"] / "features.npz") as found:
        pooled = np.concatenate([found["source"], found["target"]]).astype(float)
        counts = places[places["method"] == "source_only"]["domain"].value_counts().to_dict()
        assert counts == {"source": len(found["source"]), "target": len(found["target"])}
    mine = places.loc[places["method"] == "source_only", ["first", "second"]]
    variances = np.linalg.svd(pooled - pooled.mean(axis=0), compute_uv=False)[:2] ** 2
    np.testing.assert_allclose((mine.to_numpy() ** 2).sum(axis=0), variances, rtol=1e-6)


def test_the_page_and_the_figure_are_there(compared: Path) -> None:
    page = (compared / "08_reporting/adapted_report.html").read_text(encoding="utf-8")
    for words in (
        "Without labels",
        "With labels",
        "DANN",
        "trained on the target&#39;s labels",
        "Sites told apart",
        "histogram",
    ):
        assert words in page, words
    assert page.count('src="data:image/') == 4  # methods, planes, recall, reliability
    assert (compared / "08_reporting/adaptation_methods.png").stat().st_size > 1000
    invariance = facts(compared, "08_reporting/adaptation_invariance")
    assert list(invariance) == MODELS
    assert all(-2 <= value <= 2 for value in invariance.values())


def test_without_any_label_there_is_a_choice_and_no_number(given: Given, films: Path, tmp_path: Path) -> None:
    plain = tmp_path / "plain"
    plain.mkdir()
    for path in films.glob("*/*.png"):
        (plain / f"{path.parent.name}_{path.name}").write_bytes(path.read_bytes())
    means = {"methods": [], "simple_means": ["stronger_augmentation", "batch_norm"], "stronger_policy": "flips"}
    root = run(tmp_path / "run", given(target_images={"root": str(plain)}, medical_adaptation=means), TASK)
    candidates, told = facts(root, "06_models/adaptation_candidates"), facts(root, "08_reporting/adapted_evaluation")
    assert list(candidates["keys"]) == ["source_only", "batch_norm"]
    assert "stronger_policy is augmentation.policy, flips" in candidates["left_out"]["stronger_augmentation"]
    assert candidates["no_oracle"] == "the second site has no labels"
    assert (told["gap"], told["best_by_labels"]) == (None, None)
    assert told["test"]["auroc"]["estimate"] is None
    page = (root / "08_reporting/adapted_report.html").read_text(encoding="utf-8")
    assert "lack labels" in page
    assert "Not possible here: stronger augmentation" in page


def test_strictly_unlabelled_labels_are_dropped_at_the_door(given: Given, tmp_path: Path) -> None:
    root = run(tmp_path / "run", given(target_images={"strict_unlabelled": True}), TASK)
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
def test_bad_input_is_one_sentence_before_anything_is_trained(case: str, given: Given, tmp_path: Path) -> None:
    changes, sentence = BAD[case]
    with pytest.raises(UserError, match=sentence):
        run(tmp_path / "run", given(**changes), TASK)
    assert not list((tmp_path / "run").rglob("model.safetensors"))


def test_an_empty_second_site_is_refused(given: Given, tmp_path: Path) -> None:
    (tmp_path / "films").mkdir()
    with pytest.raises(UserError, match=r"films holds no files: set target_images\.root to a folder"):
        run(tmp_path / "run", given(target_images={"root": str(tmp_path / "films")}), TASK)


def test_a_first_site_without_labels_is_refused(given: Given, films: Path, tmp_path: Path) -> None:
    plain = tmp_path / "plain"
    plain.mkdir()
    for number, path in enumerate(films.glob("*/*.png")):
        (plain / f"p{number}_0.png").write_bytes(path.read_bytes())
    with pytest.raises(UserError, match=r"None of 40 files is usable \(40 x no label\)"):
        run(tmp_path / "run", given(first=plain), TASK)


def test_without_a_second_site_it_is_refused_before_any_work(mini_set: Path, tmp_path: Path) -> None:
    with pytest.raises(
        UserError, match=r"training\.kind=dann learns from a second site .* target_images\.kind is none"
    ):
        run(tmp_path / "run", parameters(mini_set), TASK)
    assert not list((tmp_path / "run").rglob("*.parquet"))


def test_labels_of_the_second_site_reach_two_nodes_only() -> None:
    """What reads the target's manifest: its own split, the trained models' rows (labels dropped), and the bound."""
    readers = {node.func.__name__ for node in pipelines[TASK].nodes if "target_manifest" in node.inputs}
    assert readers == {"train_candidates", "predict_candidates", "embed_sites", "compare_sites"}
