from __future__ import annotations

import pytest
import torch
from torch import nn
from torch.nn import functional

from medical_transfer.runtime.devices import NumberFormat
from medical_transfer.training import depthwise
from medical_transfer.training.depthwise import slow_depthwise, slow_depthwise_in_fp32

BF16, FP32 = NumberFormat("bf16", channels_last=True), NumberFormat("fp32", channels_last=True)


@pytest.fixture
def network() -> nn.Sequential:
    torch.manual_seed(0)
    return nn.Sequential(
        nn.Conv2d(3, 8, 5, 2, 2),  # dense
        nn.Conv2d(8, 8, 3, 1, 1, groups=8),  # depthwise, small, without a stride
        nn.Conv2d(8, 8, 3, 2, 1, groups=8),
        nn.Conv2d(8, 8, 5, 1, 2, groups=8),
        nn.Conv2d(8, 8, 5, 1, 2, groups=4),  # in groups, not depthwise
    )


def in_bf16(module: nn.Module, activation: torch.Tensor) -> torch.Tensor:
    with torch.autocast("cpu", dtype=torch.bfloat16):
        return module(activation)


def test_only_depthwise_convolutions_with_a_large_kernel_or_a_stride_are_slow(network):
    assert [list(network).index(each) for each in slow_depthwise(network)] == [2, 3]


@pytest.mark.parametrize("index", [2, 3])
def test_the_slow_ones_compute_in_fp32_and_give_the_type_that_they_got(network, index):
    slow = network[index]
    activation = torch.randn(2, 8, 12, 12, generator=torch.Generator().manual_seed(1)).bfloat16().requires_grad_()
    exact = functional.conv2d(activation.float(), slow.weight, slow.bias, slow.stride, slow.padding, groups=8)
    assert not torch.equal(in_bf16(slow, activation), exact.bfloat16())  # rounded weights
    with slow_depthwise_in_fp32(network, BF16):
        found = in_bf16(slow, activation)
    assert found.dtype == torch.bfloat16
    assert torch.equal(found, exact.bfloat16())
    found.float().sum().backward()
    weights = slow.weight.detach().clone().requires_grad_()
    functional.conv2d(activation.detach().float(), weights, None, slow.stride, slow.padding, groups=8).sum().backward()
    torch.testing.assert_close(slow.weight.grad, weights.grad)
    assert activation.grad is not None


def test_nothing_stays_behind_and_other_formats_and_devices_are_left_alone(network, monkeypatch):
    images = torch.randn(2, 3, 24, 24, generator=torch.Generator().manual_seed(2))
    before = in_bf16(network, images)
    with pytest.raises(ZeroDivisionError), slow_depthwise_in_fp32(network, BF16):
        assert not torch.equal(in_bf16(network, images), before)
        raise ZeroDivisionError
    assert torch.equal(in_bf16(network, images), before)
    with slow_depthwise_in_fp32(network, FP32):
        assert torch.equal(in_bf16(network, images), before)
    monkeypatch.setattr(depthwise, "device", lambda: torch.device("cuda"))  # where a network is moved to later
    with slow_depthwise_in_fp32(network, BF16):
        assert torch.equal(in_bf16(network, images), before)
