from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from copy import deepcopy
from dataclasses import replace
from functools import cache
from typing import Any

import numpy as np
import pandas as pd
import pytest

from medical_transfer.config.evaluation import Evaluation
from medical_transfer.evaluation.evaluate import evaluate
from medical_transfer.reporting.report import Provenance, ReportContent


def row(
    estimate: float | None, low: float | None, high: float | None, n: int = 448, groups: int = 198
) -> dict[str, Any]:
    return {"estimate": estimate, "low": low, "high": high, "n": n, "groups": groups}


def table(split: str, classes: Sequence[str], confusion: Mapping[str, Sequence[int]], groups: int) -> pd.DataFrame:
    """Predictions whose decisions have this confusion: true class -> images decided as each class."""
    labels = [name for name, row in confusion.items() for _ in range(sum(row))]
    decided_N = np.concatenate([np.repeat(np.arange(len(classes)), row) for row in confusion.values()])
    probabilities_NC = np.where(np.eye(len(classes))[decided_N] == 1, 0.8, 0.2 / (len(classes) - 1))
    frame = pd.DataFrame(probabilities_NC, columns=[f"p_{name}" for name in classes])
    each = -(-len(frame) // groups)
    return frame.assign(label=labels, split=split, group_id=[f"{split}{n // each}" for n in range(len(frame))])


@cache
def about_two() -> Mapping[str, Any]:
    """What `evaluate` says of its rows, as it is written: 226 yes of 452 in validation, 223 of 448 in the test."""
    classes = ["yes", "no"]
    val = table("val", classes, {"yes": [220, 6], "no": [3, 223]}, 205)
    test = table("test", classes, {"yes": [219, 4], "no": [4, 221]}, 198)
    config = Evaluation(resamples=200)
    return evaluate(pd.concat([val, test], ignore_index=True), classes, "yes", 0.4217, config, seed=0)["about"]


@cache
def about_hostile() -> Mapping[str, Any]:
    """Of four classes with hostile names the first two have no image."""
    classes = [*HOSTILE[:3], "STAND-IN"]  # pandas refuses surrogates
    rows = {classes[2]: [0, 0, 15, 0], classes[3]: [0, 0, 0, 15]}
    frames = pd.concat([table(split, classes, rows, 20) for split in ("val", "test")], ignore_index=True)
    about = evaluate(frames, classes, None, None, Evaluation(resamples=200), seed=0)["about"]
    told: Mapping[str, Any] = json.loads(json.dumps(about).replace(classes[3], json.dumps(HOSTILE[3])[1:-1]))
    return told


@pytest.fixture
def evaluation() -> dict[str, Any]:
    """Two classes, the first of which is positive; 440 of 448 test images are decided rightly."""
    about = deepcopy(dict(about_two()))
    assert about["warnings"] == []
    about["warnings"] = ["test: every image is decided as 'no'."]
    assert about["undefined"]["test"] == {}
    about["undefined"]["test"]["mcc"] = "mcc is undefined: the test split has no image of class 'maybe'"
    return {
        "val": {"auroc": row(0.9951, 0.9902, 0.9988, 452, 205), "ece": row(0.0111, 0.0052, 0.0213, 452, 205)},
        "test": {
            "auroc": row(0.9934, 0.9871, 0.9969),
            "ece": row(0.0132, 0.0071, 0.0244),
            "sensitivity": row(0.9821, 0.9573, 0.9937, 223, 101),
            "specificity": row(0.9822, 0.9611, 0.9926, 225, 99),
            "mcc": row(float("nan"), None, None),
        },
        "about": about,
    }


@pytest.fixture
def leakage() -> dict[str, Any]:
    def split(images: int, groups: int, yes: int) -> dict[str, Any]:
        return {"images": images, "groups": groups, "classes": {"yes": yes, "no": images - yes}}

    return {
        "images": 3003,
        "quarantined": 3,
        "excluded": 0,
        "groups": {
            "given": 3000,
            "perceptual_hash_only": 1072,
            "after_pixel_check": 1311,
            "of_several_images": 588,
            "largest": 27,
            "images_with_a_near_duplicate": 2594,
        },
        "pairs": {"candidates": 5120, "kept_together": 4018, "let_apart": 1102},
        "cross_label_pairs": {"count": 14, "examples": [["yes/a.jpg", "no/<b>.jpg"]]},
        "splits": {"train": split(2100, 908, 1051), "val": split(452, 205, 226), "test": split(448, 198, 223)},
        "given_splits": False,
        "split_hash": "9f3ab2c41d000000",
    }


@pytest.fixture
def transferability() -> dict[str, Any]:
    def source(name: str, probe: float, accuracy: float | None) -> dict[str, Any]:
        reason = None if accuracy else "it was never trained"
        return {
            "name": name,
            "domain": "ImageNet" if accuracy else "",
            "trainable": True,
            "untrained": accuracy is None,
            "features": 1280,
            "parameters": 3_371_024,
            "source_accuracy": accuracy,
            "licence": "Apache-2.0",
            "seconds": 22.4,
            "scores": {
                "linear_probe": {"value": probe, "seconds": 3.0, "reason": None},
                "source_accuracy": {"value": accuracy, "seconds": 0.0, "reason": reason},
            },
        }

    return {
        "sources": [source("random", 0.871, None), source("lite1", 0.991, 76.6), source("lite0", 0.9935, 75.1)],
        "ranking": {"linear_probe": ["lite0", "lite1", "random"], "source_accuracy": ["lite1", "lite0"]},
        "chosen": "lite0",
        "reason": "Best cross-validated linear probe.",
        "agreement": None,
    }


@pytest.fixture
def history() -> pd.DataFrame:
    return pd.DataFrame(
        {
            "phase": ["head", "head", "partial"],
            "epoch": [0, 1, 0],
            "train_loss": [0.6, 0.4, 0.2],
            "val_loss": [0.5, 0.45, 0.3],
            "val_auroc": [0.9, 0.97, 0.96],
            "lr": [1e-2, 1e-3, 1e-4],
            "seconds": [30.0, 30.0, 60.0],
        }
    )


@pytest.fixture
def model_card() -> dict[str, Any]:
    return {
        "kind": "finetune",
        "architecture": "tf_efficientnet_lite0",
        "source": "lite0",
        "classes": ["yes", "no"],
        "positive_class": "yes",
        "preprocessing": {"size": 160, "mean": [0.5, 0.5, 0.5]},
        "temperature": 1.31,
        "threshold": 0.4217,
        "split_hash": "9f3ab2c41d000000",
        "data_fingerprint": "b7714e02aa93c1ff",
        "licences": {"data": "CC BY-NC 4.0", "weights": "Apache-2.0"},
        "versions": {"python": "3.11.2", "torch": "2.15.0"},
        "parameters": [
            {"stage": "trunk", "trainable": 1000, "total": 4000},
            {"stage": "head", "trainable": 50, "total": 50},
        ],
    }


@pytest.fixture
def content(
    evaluation: dict[str, Any],
    leakage: dict[str, Any],
    transferability: dict[str, Any],
    history: pd.DataFrame,
    model_card: dict[str, Any],
) -> ReportContent:
    return ReportContent(
        title="Brain MRI",
        evaluation=evaluation,
        leakage=leakage,
        transferability=transferability,
        model_card=model_card,
        history=history,
        timing={"ingestion": {"seconds": 31.2, "peak_mb": 410.0}, "training": {"seconds": 95.9, "peak_mb": None}},
        quarantine=pd.DataFrame({"path": ["a.jpg", "b.jpg"], "reason": ["truncated", "truncated"]}),
        provenance=Provenance(
            "4f1c09e2",
            git_dirty=True,
            seed=7,
            command="kedro run --pipeline=x",
            created="2026-11-20",
            settings={"model.freeze": "all"},
        ),
        limits=("Not for clinical use without validation on local data.",),
    )


HOSTILE = ["<script>alert(1)</script>", 'b" onload="x', "costs $5 & $6", "bad\nname\udcff"]


@pytest.fixture
def hostile_content(content: ReportContent) -> ReportContent:
    """Four classes with hostile names, two of them missing; no temperature, threshold, sources, quarantine."""
    nothing = row(float("nan"), float("nan"), float("nan"), 30, 20)
    rows = {
        "auroc": nothing,
        "balanced_accuracy": row(0.88, None, None, 30, 20),
        f"auroc_{HOSTILE[0]}": row(0.9, 0.8, 1.0, 30, 20),
    }
    leakage = deepcopy(dict(content.leakage)) | {"quarantined": 200, "excluded": 12, "given_splits": True}
    leakage["splits"] = {"test": {"images": 30, "groups": 20, "classes": dict.fromkeys(HOSTILE, 10)}}
    card = dict(content.model_card) | {
        "classes": HOSTILE,
        "temperature": None,
        "threshold": None,
        "positive_class": None,
    }
    return replace(
        content,
        title=HOSTILE[0],
        evaluation={"val": rows, "test": rows, "about": deepcopy(dict(about_hostile()))},
        leakage=leakage,
        transferability=None,
        model_card=card,
        quarantine=pd.DataFrame({"path": [], "reason": []}),
    )
