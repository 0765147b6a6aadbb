"""A checkpoint of one's own, one YAML entry, through the main job: scored with its head's probabilities and built."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from mini_set import SIZE, parameters, predictions, run
from safetensors.torch import save_file
from torch import nn

from medical_transfer.models.architectures import build_architecture
from medical_transfer.pipelines.transferability import scoring
from medical_transfer.runtime.files import sha256_of
from medical_transfer.types import UserError

CLASSES = 6


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Saved as a parallel network saves itself."""
    network = build_architecture("house/resnet20_cifar", classes=CLASSES, seed=4)
    nn.init.normal_(network.fc.weight, std=0.5, generator=torch.Generator().manual_seed(0))
    path = tmp_path_factory.mktemp("own") / "mine.safetensors"
    save_file({f"module.{name}": tensor for name, tensor in network.state_dict().items()}, path)
    return path


def given_for(mini_set: Path, checkpoint: Path, **facts: Any) -> dict[str, Any]:
    entry = {
        "path": str(checkpoint),
        "architecture": "house/resnet20_cifar",
        "classes": CLASSES,
        "prefix": "module.",
        "sha256": sha256_of(checkpoint),
        "domain": "stripes",
        "size": SIZE,
    }
    return parameters(
        mini_set,
        backbones={"own": {"mine": entry | facts}},
        transferability={"sources": ["random", "mine"]},
        model={"freeze": "all"},
        augmentation={"views": 1},
    )


def test_it_is_scored_with_its_probabilities_built_and_told_of(
    mini_set: Path, checkpoint: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen, score = {}, scoring.score_source

    def watched(evidence):
        seen[evidence.source] = evidence
        return score(evidence)

    monkeypatch.setattr(scoring, "score_source", watched)
    root = run(tmp_path, given_for(mini_set, checkpoint))
    probabilities_NK = seen["mine"].source_probabilities_NK
    assert probabilities_NK.shape == (len(seen["mine"].labels_N), CLASSES)
    assert probabilities_NK.max() > 1.5 / CLASSES
    assert seen["random"].source_probabilities_NK is None
    (kept,) = root.glob("04_feature/**/probabilities.npy")
    np.testing.assert_array_equal(np.load(kept), probabilities_NK.astype(np.float32))
    rows = json.loads((root / "08_reporting/transferability.json").read_text(encoding="utf-8"))["sources"]
    told = {row["name"]: (row["own_classes"], row["no_probabilities"], row["domain"]) for row in rows}
    assert told["mine"] == (CLASSES, None, "stripes")
    assert told["random"][:2] == (None, "it is not trained")
    (card,) = root.glob("06_models/finetuned/*/model.json")
    assert json.loads(card.read_text(encoding="utf-8"))["source"] == "mine"
    assert predictions(root)["p_along"].dropna().between(0, 1).all()


WRONG = {
    "another network": (
        {"architecture": "torchvision/resnet18"},
        r"Source mine does not fit the architecture: conv1\.weight found \(16, 3, 3, 3\), expected \(64, 3, 7, 7\); "
        r"bn1\.weight found \(16,\), expected \(64,\); bn1\.bias found .* \(and \d+ more\)\. Name the architecture",
    ),
    "another number of classes": ({"classes": 9}, r"fc\.weight found \(6, 64\), expected \(9, 64\); fc\.bias found"),
    "no prefix": ({"prefix": ""}, r"conv1\.weight is missing; .*set `prefix: module\.` in the entry of backbones\.own"),
    "another file": ({"sha256": "0" * 64}, r"mine\.safetensors has sha256 [0-9a-f]{64}, expected 0{64}: the file is"),
    "no file": ({"path": "/nowhere/mine.pth", "sha256": None}, r"Weights mine\.pth are missing: expected the file"),
}


@pytest.fixture(scope="module")
def divided(mini_set: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return run(tmp_path_factory.mktemp("divided"), parameters(mini_set), "ingestion", "split")


@pytest.mark.parametrize("case", WRONG)
def test_what_does_not_fit_is_one_sentence(mini_set: Path, divided: Path, checkpoint: Path, case: str) -> None:
    facts, words = WRONG[case]
    with pytest.raises(UserError, match=words):
        run(divided, given_for(mini_set, checkpoint, **facts), "transferability")
