from __future__ import annotations

from copy import deepcopy
from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd
import pytest

from medical_transfer.reporting.report import Provenance, ReportContent


def row(
    estimate: float | None, low: float | None, high: float | None, n: int = 448, groups: int = 198
) -> dict[str, Any]:
    return {"estimate": estimate, "low": low, "high": high, "n": n, "groups": groups}


@pytest.fixture
def evaluation() -> dict[str, Any]:
    """Two classes, the first of which is positive; 440 of 448 test images are decided rightly."""
    return {
        "val": {"auroc": row(0.9951, 0.9902, 0.9988, 452, 205), "ece": row(0.0111, 0.0052, 0.0213, 452, 205)},
        "test": {
            "auroc": row(0.9934, 0.9871, 0.9969),
            "ece": row(0.0132, 0.0071, 0.0244),
            "sensitivity": row(0.9821, 0.9573, 0.9937, 223, 101),
            "specificity": row(0.9822, 0.9611, 0.9926, 225, 99),
            "mcc": row(float("nan"), None, None),
        },
        "about": {
            "classes": ["yes", "no"],
            "positive": "yes",
            "threshold": 0.4217,
            "coverage": 0.95,
            "prevalence": {"val": {"yes": 0.5, "no": 0.5}, "test": {"yes": 0.4978, "no": 0.5022}},
            "undefined": {"test": {"mcc": "mcc is undefined: the test split has no image of class 'maybe'"}},
            "warnings": ["test: every image is decided as 'no'."],
            "confusion": {"val": [[220, 6], [3, 223]], "test": [[219, 4], [4, 221]]},
        },
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
            "4f1c09e2", git_dirty=True, seed=7, command="kedro run --pipeline=x", created="2026-11-20"
        ),
        limits=("Not for clinical use without validation on local data.",),
    )


HOSTILE = ["<script>alert(1)</script>", 'b" onload="x', "costs $5 & $6", "bad\nname\udcff"]


@pytest.fixture
def hostile_content(content: ReportContent) -> ReportContent:
    """Four classes with hostile names, one missing; null temperature and threshold; no sources, nothing quarantined."""
    nothing = row(float("nan"), float("nan"), float("nan"), 30, 20)
    rows = {
        "auroc": nothing,
        "balanced_accuracy": row(0.88, None, None, 30, 20),
        f"auroc_{HOSTILE[0]}": row(0.9, 0.8, 1.0, 30, 20),
    }
    matrix = np.diag([10, 10, 10, 0]).tolist()
    about = {
        "classes": HOSTILE,
        "positive": None,
        "threshold": None,
        "warnings": [f"test: class '{HOSTILE[1]}' has no image."],
        "undefined": {"test": {"auroc": f"auroc is undefined: the test split has no image of class '{HOSTILE[0]}'"}},
        "confusion": {"val": matrix, "test": matrix},
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
        evaluation={"val": rows, "test": rows, "about": about},
        leakage=leakage,
        transferability=None,
        model_card=card,
        quarantine=pd.DataFrame({"path": [], "reason": []}),
    )
