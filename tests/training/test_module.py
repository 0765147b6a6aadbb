from __future__ import annotations

import hashlib

import numpy as np
import pytest
import torch

import toy
from medical_transfer.methods.contract import Phase
from medical_transfer.runtime.devices import DEFAULT, NumberFormat
from medical_transfer.schedules import SCHEDULES
from medical_transfer.training import callbacks
from medical_transfer.training import module as module_file
from medical_transfer.training.data import PhaseData, in_format
from medical_transfer.training.fit import fit
from medical_transfer.training.module import MethodModule


def hashed(root: int, name: str) -> int:
    return int.from_bytes(hashlib.sha256(f"{root}/{name}".encode()).digest()[:4], "big")


def train(folder, method, *, policy="none", **problem):
    data_of = toy.Problem(method.classifier, policy=policy, **problem)
    fit(method, data_of, training=toy.config(), seed=4, folder=folder, name="toy")


def spied(method):
    """Record (progress, batch, learns) of each call of `losses` and `logits`."""
    calls, losses = [], method.losses

    def recorded(batch, progress):
        calls.append((progress, batch))
        return losses(batch, progress)

    method.losses = recorded
    return calls


def test_progress_runs_from_0_to_1_in_each_phase(tmp_path):
    method = toy.finetune(toy.classifier(), head_epochs=2, epochs=3)
    calls = spied(method)
    train(tmp_path, method)
    expected = [step / 6 for step in range(6)] + [step / 9 for step in range(9)]
    assert [progress for progress, _ in calls] == pytest.approx(expected, abs=1e-12)


def test_order_of_batches_comes_from_seed_phase_and_epoch_alone(tmp_path):
    method = toy.finetune(toy.classifier(), head_epochs=1, epochs=2)
    calls = spied(method)
    train(tmp_path, method)
    rows = np.concatenate([batch.rows_N.numpy() for _, batch in calls]).reshape(3, 24)
    for found, name in zip(rows, ("head/0/order", "trunk/0/order", "trunk/1/order"), strict=True):
        assert found.tolist() == np.random.default_rng(hashed(4, name)).permutation(24).tolist()


@pytest.mark.parametrize("name", sorted(SCHEDULES))
def test_the_rate_follows_the_schedule_step_by_step(tmp_path, name, monkeypatch):
    method = toy.finetune(
        toy.classifier(), freeze="none", head_first=False, epochs=2, schedule=name, learning_rate=1e-3
    )
    rates = []

    def watch(self, trainer, pl_module, outputs, batch, batch_idx):
        rates.append({g["name"]: g["lr"] for g in trainer.optimizers[0].param_groups})

    monkeypatch.setattr(callbacks.StopOnNaN, "on_train_batch_end", watch)
    train(tmp_path, method)
    weights = [torch.nn.Parameter(torch.zeros(1)), torch.nn.Parameter(torch.zeros(1))]
    optimizer = torch.optim.SGD([{"params": weights[:1], "lr": 1e-3}, {"params": weights[1:], "lr": 1e-3 / 2.6**4}])
    reference = torch.optim.lr_scheduler.LambdaLR(optimizer, lambda step: SCHEDULES[name](step / 3, 2))
    for found in rates:  # after its step a batch finds the rate of the next one
        optimizer.step()
        reference.step()
        head, stem = reference.get_last_lr()
        assert found["head"] == pytest.approx(head, rel=1e-12, abs=1e-18)
        assert found["stem"] == pytest.approx(stem, rel=1e-12, abs=1e-18)
    assert len(rates) == 6


def test_the_chapters_restarts_against_torch():
    parameter = torch.nn.Parameter(torch.zeros(1))
    groups = ({"params": [parameter], "lr": 0.1, "name": "all"},)
    steps = 4
    phase = Phase("trunk", 0, 0, 35, groups, SCHEDULES["cosine_restarts"])
    data = toy.Problem(toy.classifier(), n_train=8 * steps)(phase)
    module = MethodModule(toy.finetune(toy.classifier()), phase, data, seed=0, number_format=DEFAULT)
    configured = module.configure_optimizers()
    ours = configured["lr_scheduler"]["scheduler"]
    assert configured["lr_scheduler"]["interval"] == "step"
    other = torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=0.1)
    theirs = torch.optim.lr_scheduler.CosineAnnealingWarmRestarts(other, T_0=10, T_mult=2)
    for step in range(1, 35 * steps):
        configured["optimizer"].step()
        ours.step()
        other.step()
        theirs.step(step / steps)
        assert ours.get_last_lr()[0] == pytest.approx(theirs.get_last_lr()[0], rel=1e-9, abs=1e-12), step


def test_augmentation_is_for_training_on_images_only(tmp_path, monkeypatch):
    seen = []

    def darken(images, generator):
        seen.append((images.shape, generator.initial_seed()))
        return images * 0

    monkeypatch.setattr(module_file, "POLICIES", {"none": None, "gentle": darken})
    method = toy.finetune(toy.classifier(), freeze="none", head_epochs=1, epochs=2)
    calls = spied(method)
    judged = []
    logits = method.logits

    def watched(batch):
        if not method.training:
            judged.append(batch.inputs.abs().max().item())
        return logits(batch)

    method.logits = watched
    train(tmp_path, method, policy="gentle")
    assert [shape for shape, _ in seen] == [(8, 3, toy.SIZE, toy.SIZE)] * 6  # two epochs of the trunk, none of the head
    assert {seed for _, seed in seen} == {hashed(4, f"trunk/{epoch}/augmentation") for epoch in (0, 1)}
    black = [bool(batch.inputs.abs().max() == 0) for _, batch in calls]
    assert black == [False] * 3 + [True] * 6
    assert len(judged) == 3
    assert min(judged) > 0


def test_images_become_floats_and_activations_single_precision():
    pixels = torch.arange(2 * 4 * 4 * 3, dtype=torch.uint8).reshape(2, 4, 4, 3)
    images = PhaseData.as_float(pixels)
    np.testing.assert_allclose(images.numpy(), pixels.numpy().transpose(0, 3, 1, 2) / np.float32(255), rtol=1e-7)
    halves = torch.tensor([0.1, 2.5], dtype=torch.float16)
    assert PhaseData.as_float(halves).dtype == torch.float32
    assert torch.equal(PhaseData.as_float(halves), halves.to(torch.float32))


def test_memory_formats():
    images = torch.rand(2, 3, 4, 4)
    last = in_format(images, NumberFormat("fp32", channels_last=True))
    assert last.is_contiguous(memory_format=torch.channels_last)
    assert torch.equal(last, images)
    first = in_format(last, NumberFormat("fp32", channels_last=False))
    assert first.is_contiguous()
    assert torch.equal(first, images)
    features = torch.rand(2, 5)
    assert in_format(features, DEFAULT) is features


def test_what_is_no_torch_module_is_refused():
    phase = Phase("head", 4, 4, 1, ())
    with pytest.raises(TypeError, match="has nothing to learn"):
        MethodModule(object(), phase, None, seed=0, number_format=DEFAULT)
