"""A finished model's folder without any training: the toy network, saved with what it saw of toy pictures."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
from PIL import Image

from medical_transfer.models.card import ModelCard
from medical_transfer.models.checkpoint import save_checkpoint
from medical_transfer.models.inference import look_at, looking
from medical_transfer.models.preprocessing import Preprocessing
from medical_transfer.models.reference import Reference, write_reference
from toy import ARCHITECTURE, SIZE, classifier, pixels

CLASSES = ("healthy", "sick")


def save_small_model(folder: Path, *, saw: int = 40, **changes) -> ModelCard:
    """Save it in `folder`; `saw` training and as many validation images (0: it is saved without what it saw)."""
    folder.mkdir(parents=True, exist_ok=True)
    classes = changes.get("classes", CLASSES)
    network = classifier(classes=len(classes)).eval()
    with torch.no_grad():  # so that probabilities differ
        next(reversed(list(network.head.parameters()))).copy_(torch.linspace(0.1, -0.1, len(classes)))
    facts = {
        "kind": "finetune",
        "source": "toy",
        "source_fingerprint": "sha256:0",
        "architecture": ARCHITECTURE,
        "head": "linear",
        "dropout": 0.2,
        "classes": classes,
        "positive_class": classes[1] if len(classes) == 2 else None,
        "preprocessing": Preprocessing(size=SIZE),
        "size": SIZE,
        "fit": "squash",
        "temperature": 2.0,
        "threshold": 0.5 if len(classes) == 2 else None,
        "split_hash": "s",
        "data_fingerprint": "d",
        "data_licence": "MIT",
        "weights_licence": "MIT",
    }
    if saw:
        facts["reference_sha256"] = write_reference(folder, what_it_saw(network, saw, len(classes)))
    return save_checkpoint(folder, network, ModelCard.model_validate(facts | changes))


def what_it_saw(network, saw: int, classes: int) -> Reference:
    look = looking(network, SIZE)
    (train, train_labels_N), (val, val_labels_M) = (pixels(saw, seed, classes) for seed in (1, 2))
    logits_MC, features_MH = look_at(look, val, np.arange(saw))
    return Reference(
        train_ND=look_at(look, train, np.arange(saw))[1],
        train_labels_N=train_labels_N,
        train_groups_N=np.arange(saw),
        val_MD=features_MH,
        val_labels_M=val_labels_M,
        val_groups_M=np.arange(saw),
        val_logits_MC=logits_MC.astype(np.float32),
    )


def write_pictures(root: Path, count: int, *, seed: int = 3) -> list[str]:
    """PNG files of two patients each, in nested folders; returns their paths relative to `root`, sorted."""
    paths = [f"{'deep/' * (number % 2)}p{number // 2:02d}_{number % 2}.png" for number in range(count)]
    for path, picture in zip(paths, pixels(count, seed)[0], strict=True):
        (root / path).parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(picture).save(root / path)
    return sorted(paths)
