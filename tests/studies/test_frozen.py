"""The probe against scikit-learn, and which sources stand side by side."""

from __future__ import annotations

import math
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pandas as pd
import pytest
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import roc_auc_score
from sklearn.preprocessing import StandardScaler

from medical_transfer.config.study_transferability import StudyTransferability
from medical_transfer.config.training import Training
from medical_transfer.data.dataset import LabelledRows
from medical_transfer.models.backbones import SOURCES
from medical_transfer.pipelines.transferability.scoring import SourceFeatures
from medical_transfer.studies.frozen import Frozen, best_first, measure, side_by_side
from medical_transfer.studies.frozen_probe import probe_auroc
from medical_transfer.studies.targets import Target
from medical_transfer.studies.tuned_targets import parameters_of_trial
from medical_transfer.transferability.linear_probe import standardised


def rows(labels_N: np.ndarray) -> LabelledRows:
    n = len(labels_N)
    return LabelledRows(tuple(map(str, range(n))), np.arange(n), labels_N, np.arange(n) // 2)


def problem(classes: int, n: int = 80, seed: int = 0) -> tuple[LabelledRows, np.ndarray]:
    """Features of one spread, so that the floor of the deviation plays no part."""
    rng = np.random.default_rng(seed)
    labels_N = np.arange(n) % classes
    features_ND = rng.normal(size=(n, 12)) + 0.8 * np.eye(classes, 12)[labels_N]
    return rows(labels_N), features_ND


@pytest.mark.parametrize("classes", [2, 3])
def test_the_probe_is_a_logistic_regression_on_standardised_features(classes):
    (train, train_ND), (test, test_MD) = problem(classes), problem(classes, seed=1)
    learned, judged = standardised(train_ND, test_MD)
    probe = LogisticRegression(C=10 / 12, max_iter=2000).fit(learned, train.labels_N)
    said = probe.predict_proba(judged)
    expected = roc_auc_score(test.labels_N, said[:, 1] if classes == 2 else said, multi_class="ovr")
    found = probe_auroc(train, test, train_ND, test_MD, resamples=200, seed=0)
    assert found.estimate == pytest.approx(expected)
    assert found.low < found.estimate < found.high


def test_standardising_knows_the_training_rows_only_and_has_a_floor():
    train_ND, test_MD = np.random.default_rng(0).normal(size=(50, 5)), np.full((3, 5), 100.0)
    even = train_ND / train_ND.std(axis=0)
    expected = StandardScaler().fit(even)
    found = standardised(even, test_MD)
    assert found[0] == pytest.approx(expected.transform(even))
    assert found[1] == pytest.approx(expected.transform(test_MD))
    even[:, 0] *= 1e-3  # hardly varies: not blown up a thousand times
    assert np.abs(standardised(even, even + 1)[1][:, 0]).max() < 1.1
    assert np.isfinite(standardised(np.ones((4, 2)), np.ones((2, 2)))[1]).all()


def test_a_class_without_a_test_image_has_no_number():
    (train, train_ND), (test, test_MD) = problem(2), problem(2, seed=1)
    only = test.labels_N == 0
    found = probe_auroc(train, rows(test.labels_N[only]), train_ND, test_MD[only], resamples=200, seed=0)
    assert math.isnan(found.estimate)


def test_best_first_by_the_score_of_training_images_and_without_the_control():
    sources = [SOURCES[name] for name in ("efficientnet_lite0", "efficientnet_lite1", "resnet18", "random")]
    values = {"efficientnet_lite0": 0.7, "efficientnet_lite1": 0.9, "resnet18": None, "random": 0.99}
    measured = {name: {"scores": {"linear_probe": {"value": value}}} for name, value in values.items()}
    assert [source.name for source in best_first(sources, measured)] == ["efficientnet_lite1", "efficientnet_lite0"]


def frozen(manifest: pd.DataFrame, features_ND: np.ndarray, folder: Path) -> Frozen:
    """A target of 64 images under one source."""
    ids = list(manifest["image_id"])
    cache = SimpleNamespace(key="c", slots=lambda wanted: np.array([ids.index(each) for each in wanted]))
    prepared: Any = SimpleNamespace(cache=cache, manifests={0: manifest})
    study = StudyTransferability(score_images=30)
    shares_NK = np.exp(features_ND) / np.exp(features_ND).sum(axis=1, keepdims=True)
    features = {
        "efficientnet_lite0": SourceFeatures(features_ND, 1.0, shares_NK, None),
        "random": SourceFeatures(features_ND[:, ::-1] ** 2, 1.0, None, "it is not trained"),
    }
    return Frozen(prepared, study, 0, features, {name: row for row, name in enumerate(ids)}, folder)


def test_scores_never_see_a_test_image(tmp_path: Path) -> None:
    """Test labels are turned round and test features scrambled: scores stay bit-equal, the probe does not."""
    rng = np.random.default_rng(5)
    labels = np.array(["a", "b"] * 32)
    features_ND = rng.normal(size=(64, 6)).astype(np.float32) + 0.7 * (labels == "a")[:, None]
    split = np.array(["train"] * 40 + ["test"] * 16 + ["val"] * 8)
    manifest = pd.DataFrame({"image_id": [f"i{n}" for n in range(64)], "label": labels, "split": split, "status": "ok"})
    manifest["group_id"] = [f"g{n // 2}" for n in range(64)]
    poisoned, other_ND = manifest.copy(), features_ND.copy()
    seen = split == "train"
    poisoned.loc[~seen, "label"] = np.where(labels[~seen] == "a", "b", "a")
    other_ND[split == "val"] = 99.0
    source = SOURCES["efficientnet_lite0"]
    first = measure(source, frozen(manifest, features_ND, tmp_path / "1"))
    second = measure(source, frozen(poisoned, other_ND, tmp_path / "2"))
    values = [{name: each["value"] for name, each in found["scores"].items()} for found in (first, second)]
    assert values[0] == values[1]
    assert values[0]["leep"] < 0
    assert first["images"] == 30
    assert first["probe"]["n"] == 16
    assert first["probe"]["estimate"] == pytest.approx(1 - second["probe"]["estimate"])
    joined = side_by_side([source, SOURCES["random"]], frozen(manifest, features_ND, tmp_path / "1"))
    assert joined["key"] != first["key"]
    assert joined["probe"]["estimate"] != first["probe"]["estimate"]


def test_all_sources_have_the_same_budget():
    study = StudyTransferability(steps=32, rounds=2, head_rounds=20, batch_size=16, image_size=80)
    images = {"kind": "folder", "root": "here", "positive_class": "sick", "licence": "CC0"}
    given = parameters_of_trial(Target("ct", {"images": images, "augmentation": {"policy": "gentle"}}), study)
    assert given["images"] == {"size": 80, "positive_class": "sick", "licence": "CC0"}, "no place is in a trial's key"
    assert given["augmentation"] == {"policy": "gentle", "views": 1}
    training = Training.model_validate(given["training"])
    assert training.epochs * (training.steps_per_epoch or 0) == 32
    assert (training.finetune.head_epochs, training.finetune.multiplier, training.number_format) == (20, 1.0, "fp32")
    assert SimpleNamespace(**given["model"]).freeze == "none"
