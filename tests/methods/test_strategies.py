"""What every fine-tuning strategy keeps, on an architecture of each library: frozen is frozen, and groups are whole."""

from __future__ import annotations

import copy
from collections import Counter

import pytest
import torch

import toy
from medical_transfer.models.classifier import Classifier
from medical_transfer.training import callbacks
from medical_transfer.training.fit import fit
from medical_transfer.training.module import MethodModule

ARCHITECTURES = ("timm/tf_efficientnet_lite0", "torchvision/resnet18", "timm/mobilenetv3_small_050")
"""The packaged one, one of torchvision's and one more of timm's."""

STRATEGIES = {
    "all frozen": {"freeze": "all"},
    "partial": {"freeze": "partial", "stages": 2},
    "full, one rate": {"freeze": "none", "multiplier": 1.0, "head_first": False},
    "discriminative rates": {"freeze": "none", "head_first": False},
    "head first, then full": {"freeze": "none", "multiplier": 1.0},
    "L2-SP": {"freeze": "none", "l2_sp": 0.1},
    "gradual, last stages": {"freeze": "partial", "stages": 3, "unfreezing": "gradual"},
    "gradual": {"freeze": "none", "unfreezing": "gradual", "epochs": 20},
}
"""Name -> keywords of `toy.finetune`."""


@pytest.fixture(scope="module", params=ARCHITECTURES)
def pretrained(request) -> Classifier:
    return toy.classifier(architecture=request.param, dropout=0.0)


def tensors_of_stages(network: Classifier) -> list[dict[str, torch.Tensor]]:
    """Copies of the parameters and buffers of each stage; a buffer belongs where its module's weight does."""
    state = network.trunk.network.state_dict()
    found = []
    for index in range(len(network.trunk.stage_names)):
        mine = network.trunk.stage_parameters(index)
        homes = {name.rpartition(".")[0] for name in mine}
        found.append({name: t.clone() for name, t in state.items() if name in mine or name.rpartition(".")[0] in homes})
    assert Counter(name for stage in found for name in stage) == Counter(state.keys())
    return found


def moved(before: dict[str, torch.Tensor], after: dict[str, torch.Tensor]) -> set[str]:
    return {name for name in before if before[name].numpy().tobytes() != after[name].numpy().tobytes()}


def is_statistic(name: str) -> bool:
    return name.endswith(("running_mean", "running_var", "num_batches_tracked"))


def one_step(method, phase) -> None:
    optimizer = torch.optim.AdamW(list(phase.groups))
    method.train()
    method.losses(toy.batch(phase, method.classifier, n=4), 0.5).total.backward()
    optimizer.step()
    method.zero_grad()


@pytest.mark.parametrize("batch_norm", ["adapt", "frozen"])
@pytest.mark.parametrize("strategy", STRATEGIES)
def test_what_is_frozen_stays_byte_equal_and_what_learns_is_in_one_group(pretrained, strategy, batch_norm):
    network = copy.deepcopy(pretrained)
    method = toy.finetune(network, batch_norm=batch_norm, **STRATEGIES[strategy])
    before = tensors_of_stages(network)
    for phase in method.phases():
        method.start(phase)
        learning = [p for i in range(phase.frozen, method.stages) for p in network.trunk.stage_parameters(i).values()]
        grouped = Counter(id(parameter) for group in phase.groups for parameter in group["params"])
        assert grouped == Counter(map(id, [*learning, *network.head.parameters()])), phase.name
        assert grouped == Counter(id(p) for p in method.parameters() if p.requires_grad), phase.name
        one_step(method, phase)
        after = tensors_of_stages(network)
        for index, (old, new) in enumerate(zip(before, after, strict=True)):
            changed = moved(old, new)
            statistics = {name for name in changed if is_statistic(name)}
            if index < phase.frozen:
                assert not changed, (phase.name, index)
            else:
                assert changed - statistics, (phase.name, index)
                assert statistics == ({n for n in old if is_statistic(n)} if batch_norm == "adapt" else set())
        before = after


@pytest.mark.parametrize("strategy", STRATEGIES)
@pytest.mark.parametrize("head_first", [True, False])
def test_no_strategy_freezes_the_head(strategy, head_first):
    """No configuration asks for a network of which nothing learns: see also the parameters refused by the guards."""
    method = toy.finetune(toy.classifier(), **STRATEGIES[strategy] | {"head_first": head_first, "stages": 2})
    assert method.phases()
    for phase in method.phases():
        names = {group["name"] for group in phase.groups}
        assert {"head", "head/no_decay"} <= names, phase.name


# --- gradual unfreezing -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        ({"freeze": "all"}, [("head", 4, 20)]),
        ({"freeze": "partial", "stages": 1, "epochs": 5}, [("head", 4, 20), ("thaw_1", 3, 5)]),
        ({"freeze": "partial", "stages": 2, "epochs": 5}, [("head", 4, 20), ("thaw_1", 3, 2), ("thaw_2", 2, 3)]),
        ({"freeze": "none", "epochs": 4, "head_first": False}, [(f"thaw_{n}", 4 - n, 1) for n in (1, 2, 3, 4)]),
        ({"freeze": "none", "epochs": 2}, [("head", 4, 20), ("thaw_1", 2, 1), ("thaw_2", 0, 1)]),
    ],
)
def test_phases_of_gradual_unfreezing(fields, expected):
    method = toy.finetune(toy.classifier(), unfreezing="gradual", head_epochs=20, **fields)
    assert [(phase.name, phase.frozen, phase.epochs) for phase in method.phases()] == expected


def test_one_more_stage_learns_in_each_phase_at_its_own_rate():
    method = toy.finetune(
        toy.classifier(), freeze="none", unfreezing="gradual", epochs=4, learning_rate=1e-3, multiplier=2.0
    )
    rates = {"head": 1e-3, "layer3": 5e-4, "layer2": 2.5e-4, "layer1": 1.25e-4, "stem": 6.25e-5}
    for number, phase in enumerate(method.phases()[1:], start=1):
        found = {group["name"].removesuffix("/no_decay"): group["lr"] for group in phase.groups}
        assert found == pytest.approx(dict(list(rates.items())[: number + 1]), rel=1e-12)


@pytest.mark.parametrize(
    ("architecture", "cuts"),
    [  # maps of (C, s, s) numbers at side S are worth caching where 2 C s^2 <= 3 S^2
        ("timm/tf_efficientnet_lite0", [8, 7, 6, 5, 4, 3, 0, 0, 0]),  # before stage 3: 24 channels at S/4, as heavy
        ("torchvision/resnet18", [4, 0, 0, 0, 0]),  # 256 channels at S/16, then 128 at S/8
        ("house/resnet20_cifar", [0, 0, 0, 0]),  # 32 channels at S/2
    ],
)
def test_a_phase_learns_from_images_where_activations_would_be_larger(architecture, cuts):
    network = toy.classifier(architecture=architecture)
    head, *thaws = toy.finetune(network, freeze="none", unfreezing="gradual", epochs=9).phases()
    assert head.cut == head.frozen == len(cuts)
    assert [phase.cut for phase in thaws] == cuts
    assert [phase.frozen for phase in thaws] == list(reversed(range(len(cuts))))
    for phase in thaws:
        images = toy.pixels(2)[0]
        cached = toy.activations(network, images, phase.frozen).numpy().astype("float16")
        if phase.cut:
            assert cached.nbytes <= images.nbytes


def test_a_network_that_cannot_be_cut_thaws_from_images(monkeypatch):
    network = toy.classifier()
    monkeypatch.setattr(type(network.trunk), "cuttable", property(lambda _: False))
    phases = toy.finetune(network, freeze="none", unfreezing="gradual", epochs=4).phases()
    assert [(phase.cut, phase.frozen) for phase in phases] == [(4, 4), (0, 3), (0, 2), (0, 1), (0, 0)]


@pytest.mark.parametrize("architecture", [toy.ARCHITECTURE, *ARCHITECTURES[:2]])
def test_it_trains_phase_by_phase(architecture, tmp_path, monkeypatch):
    network = toy.classifier(architecture=architecture)
    ended = {}
    monkeypatch.setattr(
        MethodModule, "on_fit_end", lambda self: ended.update({self.phase.name: tensors_of_stages(network)})
    )
    pretrained = tensors_of_stages(network)
    method = toy.finetune(
        network, freeze="none", unfreezing="gradual", batch_norm="adapt", epochs=2, head_epochs=1, schedule="one_cycle"
    )
    problem = toy.Problem(network, n_train=16, n_val=8)
    history = fit(method, problem, training=toy.config(), seed=0, folder=tmp_path, name="toy")
    assert history["phase"].tolist() == ["head", "thaw_1", "thaw_2"]
    for phase in method.phases():
        for index, (tensors, after) in enumerate(zip(pretrained, ended[phase.name], strict=True)):
            assert bool(moved(tensors, after)) == (index >= phase.frozen), (phase.name, index)


def test_patience_is_each_phases_own(tmp_path, monkeypatch):
    monkeypatch.setattr(callbacks, "merit", lambda selection, _: (selection, 0.0))
    monkeypatch.setattr(toy.FineTune, "selection", lambda *_: 0.5)
    method = toy.finetune(toy.classifier(), freeze="none", unfreezing="gradual", epochs=13, head_epochs=1)
    problem = toy.Problem(method.classifier, n_train=8, n_val=4)
    history = fit(method, problem, training=toy.config(patience=1), seed=0, folder=tmp_path, name="toy")
    # of 3 + 3 + 3 + 4 epochs each phase does its first and one that is no better
    assert history["phase"].tolist() == ["head", *(f"thaw_{n}" for n in (1, 1, 2, 2, 3, 3, 4, 4))]
