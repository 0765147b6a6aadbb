"""The chapter's `train_with_mmd` (3.3) at its literal settings, against an independent loop on the same batches."""

from __future__ import annotations

import numpy as np
import torch
from torch import nn

from medical_transfer.config.model import Model
from medical_transfer.config.training import Training
from medical_transfer.data.loaders import PairedBatches, Rows
from medical_transfer.methods.mmd import Mmd
from medical_transfer.models.architectures import behead, build_architecture
from medical_transfer.models.classifier import build_classifier
from medical_transfer.models.preprocessing import Preprocessing
from medical_transfer.models.stages import Trunk
from medical_transfer.training.data import PhaseData
from medical_transfer.training.fit import fit

SIGMA, LAMBDA, RATE, EPOCHS, STEPS = 1.0, 0.1, 1e-3, 2, 3


def network():
    """MMDNet without its dropout, whose draws differ between one batch and two, and half a grey as zero."""
    trunk = Trunk("house/mmdnet", behead(build_architecture("house/mmdnet", seed=3)))
    preprocessing = Preprocessing(mean=(0.5,) * 3, std=(0.5,) * 3, size=32)
    classifier = build_classifier(trunk, preprocessing, head="linear", dropout=0.0, classes=3, seed=4)
    for module in classifier.modules():
        if isinstance(module, nn.Dropout):
            module.p = 0.0
    return classifier


def rows(n: int, seed: int) -> Rows:
    rng = np.random.default_rng(seed)
    return Rows((rng.integers(0, 255, (n, 32, 32, 3), dtype=np.uint8),), (np.arange(n),), np.arange(n) % 3)


SOURCE, TARGET, VAL = rows(12, 1), rows(12, 2), rows(6, 3)


def recorded(monkeypatch) -> list:
    """All batches that training is given, in their order."""
    seen, inner = [], PairedBatches.__iter__

    def watched(self):
        for batch in inner(self):
            seen.append(batch)
            yield batch

    monkeypatch.setattr(PairedBatches, "__iter__", watched)
    return seen


def chapters_mmd(x, y):
    def kernel(a, b):
        return torch.exp(-((a.unsqueeze(1) - b.unsqueeze(0)) ** 2).sum(2) / (2 * SIGMA**2))

    return kernel(x, x).mean() + kernel(y, y).mean() - 2 * kernel(x, y).mean()


def chapters_loop(classifier, batches) -> list[tuple[float, float]]:
    """`train_with_mmd` with its Adam: cross-entropy and MMD of each step."""
    optimizer = torch.optim.Adam(classifier.parameters(), lr=RATE)
    losses = []
    for batch in batches:
        here, there = (PhaseData.as_float(images) for images in (batch.inputs, batch.target))
        features = [classifier.trunk(classifier.normalise(images)) for images in (here, there)]
        cross_entropy = nn.functional.cross_entropy(classifier.head(features[0]), batch.labels_N)
        mmd = chapters_mmd(*features)
        optimizer.zero_grad()
        (cross_entropy + LAMBDA * mmd).backward()
        optimizer.step()
        losses.append((float(cross_entropy.detach()), float(mmd.detach())))
    return losses


def test_training_with_mmd_is_the_chapters_loop(tmp_path, monkeypatch):
    training = Training(
        kind="mmd",
        epochs=EPOCHS,
        batch_size=4,
        patience=EPOCHS,
        number_format="fp32",
        gradient_clip=1e9,
        mmd={"weight": LAMBDA, "kernel": "chapter", "biased": True},
        finetune={
            "head_first": False,
            "learning_rate": RATE,
            "multiplier": 1.0,
            "schedule": "constant",
            "weight_decay": 0.0,
        },
    )
    method = Mmd(network(), model=Model(freeze="none"), training=training)
    data = PhaseData(SOURCE, VAL, 4, "none", steps=STEPS, target=TARGET, target_val=VAL)
    batches = recorded(monkeypatch)
    history = fit(method, lambda _: data, training=training, seed=5, folder=tmp_path, name="mmdnet")
    assert len(batches) == EPOCHS * STEPS
    losses = np.array(chapters_loop(network().train(), batches)).reshape(EPOCHS, STEPS, 2).mean(axis=1)
    np.testing.assert_allclose(history["train_cross_entropy"], losses[:, 0], rtol=2e-4)
    np.testing.assert_allclose(history["train_mmd"], losses[:, 1], rtol=2e-4)
    assert losses[1, 0] < losses[0, 0], "it learns, so that the comparison says something"
