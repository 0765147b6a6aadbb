"""What every method must do: one table, adding a method = adding its row."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import pytest
import torch
from safetensors.torch import load_file, save_file
from torch import nn

import toy
from medical_transfer.config.adaptation import ADAPTING
from medical_transfer.methods import METHODS
from medical_transfer.methods.adaptation import Adaptation
from medical_transfer.runtime.files import read_json
from medical_transfer.training.fit import fit

ROWS: dict[str, Callable[..., nn.Module]] = {
    "finetune": toy.finetune,
    **{kind: partial(toy.adapting, kind) for kind in ADAPTING},
    "distill": toy.distilling,
}
"""Kind -> a method on the toy network; keywords `freeze`, `stages`, `batch_norm` and `seed` of its network."""

STAGES = {"all": 0, "partial": 1, "none": 4}
"""How many of the toy network's four stages learn."""

each_method = pytest.mark.parametrize("kind", ROWS)
each_strategy = pytest.mark.parametrize("freeze", STAGES)


def make(kind: str, *, freeze: str = "partial", seed: int = 0, dropout: float = 0.0, **fields) -> nn.Module:
    """With all of the trunk frozen, adaptation needs a head with a hidden layer."""
    head = "chapter_2_1" if kind in ADAPTING and freeze == "all" else "linear"
    if fields.get("batch_norm") == "adapt" and kind in ADAPTING:
        fields["batch_norm"] = "together"
    network = toy.classifier(seed=seed, dropout=dropout, head=head)
    for module in network.head.modules():
        if isinstance(module, nn.Dropout):
            module.p = dropout
    return ROWS[kind](network, freeze=freeze, **fields)


def problem(method: nn.Module) -> toy.Problem:
    return toy.Problem(method.classifier, n_target=24 if isinstance(method, Adaptation) else 0)


def learning(method: nn.Module) -> dict[str, nn.Parameter]:
    return {name: parameter for name, parameter in method.named_parameters() if parameter.requires_grad}


def loss_of(method, phase, seed: int = 0):
    return method.losses(toy.batch(phase, method.classifier, seed=seed), 0.5).total


def test_every_method_has_its_row():
    assert set(ROWS) == set(METHODS)


@each_method
@each_strategy
def test_every_trainable_parameter_gets_a_gradient_and_no_other(kind, freeze):
    method = make(kind, freeze=freeze)
    for phase in method.phases():
        method.zero_grad(set_to_none=True)
        method.start(phase)
        loss_of(method, phase).backward()
        for name, parameter in method.named_parameters():
            if parameter.requires_grad:
                assert parameter.grad is not None, name
                assert parameter.grad.abs().max() > 0, name
            else:
                assert parameter.grad is None, name


@each_method
@each_strategy
def test_each_trainable_parameter_is_in_exactly_one_group(kind, freeze):
    method = make(kind, freeze=freeze)
    for phase in method.phases():
        method.start(phase)
        grouped = [id(parameter) for group in phase.groups for parameter in group["params"]]
        assert sorted(grouped) == sorted(id(parameter) for parameter in learning(method).values())
        assert len(set(grouped)) == len(grouped)
        assert all(group["params"] and group["lr"] > 0 for group in phase.groups)
        torch.optim.AdamW(list(phase.groups))  # torch itself refuses a parameter in two groups


@each_method
def test_same_seed_same_loss(kind):
    losses = []
    for seed in (0, 0, 1):
        method = make(kind, seed=seed, dropout=0.5)
        phase = method.phases()[-1]
        method.start(phase)
        torch.manual_seed(3)
        losses.append(loss_of(method, phase).item())
    assert losses[0] == losses[1] != losses[2]


@each_method
def test_saved_and_loaded_it_predicts_the_same(kind, tmp_path):
    method, other = make(kind, seed=0).eval(), make(kind, seed=1).eval()
    phase = method.phases()[-1]
    batch = toy.batch(phase, method.classifier)
    for each in (method, other):
        each.start(phase)
    assert not torch.equal(method.logits(batch), other.logits(batch))
    save_file({name: tensor.contiguous() for name, tensor in method.state_dict().items()}, tmp_path / "x.safetensors")
    other.load_state_dict(load_file(tmp_path / "x.safetensors"))
    assert torch.equal(method.logits(batch), other.logits(batch))


@each_method
@each_strategy
def test_one_batch_can_be_learned_by_heart(kind, freeze):
    method = make(kind, freeze=freeze)
    phase = method.phases()[-1]
    method.start(phase)
    batch = toy.batch(phase, method.classifier)
    ends = phase.cut == len(method.classifier.trunk.stage_names)
    optimizer = torch.optim.Adam([{"params": group["params"]} for group in phase.groups], lr=0.02 if ends else 0.002)
    for _ in range(60):
        optimizer.zero_grad()
        method.losses(batch, 0.0).total.backward()
        optimizer.step()
    terms = method.losses(batch, 0.0)
    assert terms.parts.get("cross_entropy", terms.total).item() < 0.1
    assert (method.logits(batch).argmax(dim=1) == batch.labels_N).all()


@each_method
@each_strategy
@pytest.mark.parametrize("batch_norm", ["frozen", "adapt"])
def test_frozen_is_byte_equal_after_training(kind, freeze, batch_norm, tmp_path):
    method = make(kind, freeze=freeze, batch_norm=batch_norm, schedule="constant", epochs=1, head_epochs=1)
    network = method.classifier
    before = {name: tensor.clone() for name, tensor in network.state_dict().items()}
    fit(method, problem(method), training=toy.config(), seed=0, folder=tmp_path, name="toy")
    # by names of torch's own modules: stem = conv1, bn1; then layer1, layer2, layer3
    parts = ["conv1 bn1", "layer1", "layer2", "layer3"]
    moving = " ".join(parts[4 - STAGES[freeze] :]).split()
    learned = fit_weights(tmp_path, method)
    for name, tensor in learned.items():
        part = name.removeprefix("trunk.network.").split(".")[0]
        statistic = name.endswith(("running_mean", "running_var", "num_batches_tracked"))
        may_move = part == "head" or (part in moving and (not statistic or batch_norm == "adapt"))
        moved = tensor.numpy().tobytes() != before[name].numpy().tobytes()
        assert moved == may_move, f"{name}: moved {moved}"


def fit_weights(folder, method) -> dict[str, torch.Tensor]:
    """The last weights of the run (those of the best epoch may be those of the head alone)."""
    last = torch.load(folder / method.phases()[-1].name / "last.ckpt", weights_only=True)["state_dict"]
    prefix = "method.classifier."
    return {name.removeprefix(prefix): tensor for name, tensor in last.items() if name.startswith(prefix)}


@each_method
def test_the_predictor_is_what_was_trained(kind, tmp_path):
    method = make(kind, epochs=1, head_epochs=2)
    fit(method, problem(method), training=toy.config(), seed=0, folder=tmp_path, name="toy")
    mine = {id(parameter) for parameter in method.parameters()}
    predictor = method.predictor()
    assert {id(parameter) for parameter in predictor.parameters()} <= mine
    fresh = make(kind, seed=7)
    began = tmp_path / read_json(tmp_path / "best.json")["phase"] / "first.safetensors"
    fresh.load_state_dict(load_file(began) | load_file(tmp_path / "best.safetensors"))
    images = torch.rand(4, 3, toy.SIZE, toy.SIZE)
    assert torch.equal(predictor.eval()(images), fresh.predictor().eval()(images))
