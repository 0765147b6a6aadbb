from __future__ import annotations

import pytest
import torch

import toy
from medical_transfer.runtime.devices import CANDIDATES, DEFAULT, NumberFormat
from medical_transfer.training import number_format as number_format_file
from medical_transfer.training.number_format import number_format_of


@pytest.fixture
def method():
    return toy.finetune(toy.classifier(), freeze="none")


def choose(method, phase, **fields):
    method.start(phase)
    data = toy.Problem(method.classifier)(phase)
    return number_format_of(method, phase, data, training=toy.config(**fields), name="toy/16")


@pytest.mark.parametrize("precision", ["fp32", "bf16"])
def test_a_configured_format_is_taken_without_timing(method, precision, monkeypatch):
    monkeypatch.setattr(number_format_file, "fastest_format", None)
    chosen = choose(method, method.phases()[1], number_format=precision)
    assert chosen == NumberFormat(precision, channels_last=True)


def test_feature_vectors_are_not_timed(method, monkeypatch):
    monkeypatch.setattr(number_format_file, "fastest_format", None)
    assert choose(method, method.phases()[0], number_format="auto") == DEFAULT


def test_real_steps_are_timed_on_copies(method, monkeypatch):
    trunk = method.phases()[1]
    before = {name: tensor.clone() for name, tensor in method.state_dict().items()}
    seen = []
    original = toy.FineTune.losses

    def losses(self, batch, progress):
        weight = self.classifier.trunk.network.layer3[0].conv1.weight
        terms = original(self, batch, progress)
        seen.append(
            (
                self is method,
                self.training,
                weight.is_contiguous(memory_format=torch.channels_last),
                batch.inputs.is_contiguous(memory_format=torch.channels_last),
                torch.is_autocast_enabled("cpu"),
            )
        )
        return terms

    def fastest(step, *, name):
        assert name == "toy/16/trunk/0/8"  # backbone, size, phase, cut, batch
        for candidate in CANDIDATES:
            step(candidate)
            step(candidate)
        return CANDIDATES[2]

    monkeypatch.setattr(toy.FineTune, "losses", losses)
    monkeypatch.setattr(number_format_file, "fastest_format", fastest)
    assert choose(method, trunk, number_format="auto") == CANDIDATES[2]
    assert seen == [
        *[(False, True, True, True, False)] * 2,
        *[(False, True, False, False, False)] * 2,
        *[(False, True, True, True, True)] * 2,
    ]
    assert all(torch.equal(tensor, before[name]) for name, tensor in method.state_dict().items())
    assert all(parameter.grad is None for parameter in method.parameters())
