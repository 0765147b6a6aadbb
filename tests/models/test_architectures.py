from __future__ import annotations

import pytest
import torch
from torch import nn

from medical_transfer.models.architectures import behead, build_architecture, head_tensors, native_size
from medical_transfer.types import UserError


def parameters(network: nn.Module) -> int:
    return sum(p.numel() for p in network.parameters())


def test_building_is_repeatable_and_moves_no_global_random_numbers():
    torch.manual_seed(3)
    before = torch.get_rng_state()
    one, same, other = (build_architecture("house/resnet20_cifar", seed=seed) for seed in (1, 1, 2))
    assert torch.equal(torch.get_rng_state(), before)
    assert torch.equal(one.conv1.weight, same.conv1.weight)
    assert not torch.equal(one.conv1.weight, other.conv1.weight)


def test_cifar_resnet_has_the_parameters_of_its_paper():
    """He et al. 2016, table 6: 0.27 M and 0.85 M; by hand for 20 layers with projection shortcuts."""

    def conv(inputs: int, outputs: int, kernel: int) -> int:
        return inputs * outputs * kernel**2 + 2 * outputs  # and its batch norm

    blocks = 6 * conv(16, 16, 3) + conv(16, 32, 3) + 5 * conv(32, 32, 3) + conv(32, 64, 3) + 5 * conv(64, 64, 3)
    by_hand = conv(3, 16, 3) + blocks + conv(16, 32, 1) + conv(32, 64, 1) + 64 * 10 + 10
    assert parameters(build_architecture("house/resnet20_cifar", classes=10)) == by_hand
    assert round(parameters(build_architecture("house/resnet56_cifar", classes=10)) / 1e6, 1) == 0.9


def test_leaky_squeezenet_has_no_plain_relu():
    kinds = {type(module) for module in build_architecture("house/squeezenet1_1_leaky", classes=5).modules()}
    assert nn.LeakyReLU in kinds
    assert nn.ReLU not in kinds


@pytest.mark.parametrize(
    ("architecture", "head"),
    [
        ("timm/resnet18", {"fc.weight", "fc.bias"}),
        ("torchvision/mobilenet_v2", {"classifier.1.weight", "classifier.1.bias"}),
        ("torchvision/squeezenet1_0", {"classifier.1.weight", "classifier.1.bias"}),
        ("torchvision/alexnet", {"classifier.6.weight", "classifier.6.bias"}),
    ],
)
def test_only_the_classification_layer_comes_off(architecture, head):
    assert head_tensors(architecture) == head


def test_the_dropout_of_the_old_head_goes_with_it():
    assert not any(
        isinstance(module, nn.Dropout) for module in behead(build_architecture("torchvision/mobilenet_v2")).modules()
    )
    kept = [m for m in behead(build_architecture("torchvision/alexnet")).modules() if isinstance(m, nn.Dropout)]
    assert len(kept) == 2  # each before a hidden layer, none before the last


def test_training_time_heads_of_googlenet_come_off():
    network = behead(build_architecture("torchvision/googlenet")).train()
    assert network(torch.rand(2, 3, 64, 64)).shape == (2, 1024)


@pytest.mark.parametrize(
    ("architecture", "size"),
    [("timm/tf_efficientnet_lite2", 260), ("torchvision/resnet18", 224), ("house/resnet20_cifar", 32)],
)
def test_native_size(architecture, size):
    assert native_size(architecture) == size


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("resnet18", "timm, torchvision, house"),
        ("keras/vgg", "timm, torchvision, house"),
        ("torchvision/resnet19", "resnet18"),
        ("torchvision/fasterrcnn_resnet50_fpn", "choose one of"),
        ("timm/resnet18x", "resnet18"),
        ("house/nothing", "choose one of its 12 names, for instance chapter_student"),
    ],
)
def test_an_unknown_name_lists_known_ones(name, words):
    with pytest.raises(UserError, match=words):
        build_architecture(name)
