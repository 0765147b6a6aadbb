from __future__ import annotations

import copy

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn
from torchvision import models

from medical_transfer.models.freezing import cut_of, freeze, freeze_below, parameter_table, thaw_gradually
from medical_transfer.types import UserError


def train_steps(model: nn.Module, images: torch.Tensor, steps: int = 3) -> None:
    """Real steps on all parameters that want a gradient, with momentum and decay, in train mode."""
    learning = [p for p in model.parameters() if p.requires_grad]
    optimizer = torch.optim.SGD(learning, lr=0.05, momentum=0.9, weight_decay=0.01)
    labels = torch.arange(len(images)) % 3
    torch.manual_seed(0)
    model.train()
    for _ in range(steps):
        optimizer.zero_grad()
        nn.functional.cross_entropy(model(images), labels).backward()
        optimizer.step()


def changed_tensors(model: nn.Module, before: dict[str, torch.Tensor]) -> set[str]:
    return {name for name, tensor in model.state_dict().items() if not torch.equal(tensor, before[name])}


def frozen_names(model: nn.Module, prefixes: tuple[str, ...]) -> set[str]:
    return {name for name in model.state_dict() if name.startswith(prefixes)}


@pytest.mark.parametrize(
    ("strategy", "stages", "learning"),
    [
        ("all", 1, ("head.",)),
        ("partial", 1, ("trunk.network.layer3.", "head.")),
        ("partial", 3, ("trunk.network.layer1.", "trunk.network.layer2.", "trunk.network.layer3.", "head.")),
        ("none", 1, ("trunk.", "head.")),
    ],
)
def test_exactly_the_frozen_tensors_are_byte_equal_after_training(classifier_of, images, strategy, stages, learning):
    model = classifier_of()
    freeze(model, strategy, stages)
    before = copy.deepcopy(model.state_dict())
    train_steps(model, images)
    changed = changed_tensors(model, before)
    assert changed == frozen_names(model, learning)  # every parameter, statistic and counter of them, and nothing else


def test_every_learning_parameter_gets_a_gradient(classifier_of, images):
    model = classifier_of(head="chapter_5_1")
    freeze(model, "none", 1)
    train_steps(model, images, steps=2)  # a new ResNet's last norms are 0, so their blocks learn from the second on
    assert all(p.grad is not None and p.grad.abs().sum() > 0 for p in model.parameters())


def test_frozen_stages_are_in_eval_mode_whatever_is_said(classifier_of):
    model = classifier_of().train()
    freeze(model, "partial", 1)
    network = model.trunk.network
    for modes in (model, model.train(), model.eval().train()):
        assert not any(m.training for m in network.layer2.modules()), modes
        assert not network.bn1.training
        assert all(m.training for m in network.layer3.modules())
        assert model.head.training
    freeze(model, "none", 1)
    assert all(m.training for m in network.layer2.modules())
    assert all(p.requires_grad for p in model.parameters())


def test_frozen_part_may_be_cached_while_training(classifier_of, images):
    model = classifier_of()
    cut = freeze(model, "partial", 1)
    assert cut == 3
    cached = model.trunk.run(model.normalise(images), 0, cut)
    train_steps(model, images)
    assert torch.equal(model.trunk.run(model.normalise(images), 0, cut), cached)
    model.eval()
    assert torch.equal(model.forward_from(cached, cut), model(images))


def test_a_whole_network_is_frozen_by_its_groups(classifier_of):
    model = classifier_of("timm/vit_tiny_patch16_224")
    freeze(model, "partial", 2)
    before = copy.deepcopy(model.state_dict())
    train_steps(model, torch.rand(2, 3, 224, 224, generator=torch.Generator().manual_seed(0)), steps=1)
    changed = changed_tensors(model, before)
    net = "trunk.network."
    assert changed <= frozen_names(model, (f"{net}blocks.10.", f"{net}blocks.11.", f"{net}norm.", "head."))
    assert {name.split(".")[3] for name in changed if ".blocks." in name} == {"10", "11"}
    model.train()
    assert not any(m.training for m in model.trunk.network.blocks[9].modules())
    assert all(m.training for m in model.trunk.network.blocks[10].modules())
    freeze(model, "all", 1)
    assert not any(m.training for m in model.trunk.network.modules())


HEADS_BY_HAND = {"chapter_2_1": 2049 * 512 + 513 * 10, "chapter_5_1": 2049 * 512 + 1024 + 513 * 10}


@pytest.mark.parametrize("head", HEADS_BY_HAND)
def test_parameter_counts_of_the_chapters_resnet50(classifier_of, head):
    """The chapter's rule read literally from torchvision's names: all; all but layer4 and fc; none are frozen."""
    trunk = {n: p.numel() for n, p in models.resnet50(weights=None).named_parameters() if not n.startswith("fc")}
    layer4 = sum(size for name, size in trunk.items() if "layer4" in name)
    expected = {"all": 0, "partial": layer4, "none": sum(trunk.values())}
    model = classifier_of("torchvision/resnet50", head=head, classes=10)
    for strategy, learning in expected.items():
        freeze(model, strategy, 1)
        table = parameter_table(model)
        assert [row["stage"] for row in table] == ["stem", "layer1", "layer2", "layer3", "layer4", "head"]
        assert sum(row["trainable"] for row in table) == learning + HEADS_BY_HAND[head]
        assert sum(row["total"] for row in table) == sum(trunk.values()) + HEADS_BY_HAND[head]
    by_stage = {row["stage"]: row["total"] for row in parameter_table(model)}
    assert by_stage["stem"] == 64 * 3 * 49 + 2 * 64  # conv1 and bn1


def test_partial_that_freezes_nothing_is_refused(classifier_of):
    model = classifier_of()
    with pytest.raises(UserError, match="at most 3"):
        freeze(model, "partial", 4)


@pytest.mark.parametrize(("strategy", "stages", "cut"), [("all", 1, 4), ("partial", 3, 1), ("none", 9, 0)])
def test_cut_of_a_strategy(trunk_of, strategy, stages, cut):
    assert cut_of(trunk_of(), strategy, stages) == cut


def test_unfreezing_step_by_step(classifier_of):
    """Gradual unfreezing: each step adds one stage and takes none back."""
    model = classifier_of()
    counts = []
    for cut in (4, 3, 2, 1, 0):
        freeze_below(model, cut)
        counts.append([row["trainable"] > 0 for row in parameter_table(model)])
    assert counts == [[index >= cut for index in range(5)] for cut in (4, 3, 2, 1, 0)]


@pytest.mark.parametrize(
    ("stages", "cut", "epochs", "expected"),
    [
        (4, 0, 4, [(3, 1), (2, 1), (1, 1), (0, 1)]),
        (4, 0, 7, [(3, 1), (2, 1), (1, 1), (0, 4)]),
        (9, 6, 6, [(8, 2), (7, 2), (6, 2)]),
        (9, 6, 8, [(8, 2), (7, 2), (6, 4)]),
        (4, 3, 5, [(3, 5)]),
        (9, 0, 3, [(6, 1), (3, 1), (0, 1)]),
        (9, 6, 2, [(8, 1), (6, 1)]),
        (5, 0, 1, [(0, 1)]),
    ],
)
def test_gradual_unfreezing_by_hand(stages, cut, epochs, expected):
    assert thaw_gradually(stages, cut, epochs) == expected


@settings(max_examples=300, deadline=None)
@given(st.integers(1, 40), st.integers(0, 39), st.integers(1, 100))
def test_gradual_unfreezing_spends_all_epochs_and_thaws_evenly(stages, cut, epochs):
    cut = cut % stages
    thaws = thaw_gradually(stages, cut, epochs)
    frozen, spent = zip(*thaws, strict=True)
    assert sum(spent) == epochs
    assert len(thaws) == min(stages - cut, epochs)
    assert len(set(spent[:-1])) <= 1  # all but the last are equally long
    assert 0 < spent[0] <= spent[-1] < 2 * spent[0] + len(thaws)
    assert frozen[-1] == cut
    together = [above - below for above, below in zip((stages, *frozen), frozen, strict=False)]
    assert min(together) >= 1
    assert max(together) - min(together) <= 1
    assert max(together) == 1 or epochs < stages - cut
