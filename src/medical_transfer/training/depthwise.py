"""Depthwise convolutions that a CPU computes faster in fp32 than in bf16.

Measured with torch 2.14 (oneDNN) on a CPU with AVX-512 bf16 units, channels-last, batch 32: of a depthwise convolution
with a kernel above 3 px or a stride the backward pass takes 2 to 8 times as long in bf16 as in fp32, of others and of
all dense convolutions half as long. A step of EfficientNet-lite0 at 160 px takes 0.6 times as long with these few in
fp32, one of MobileNetV2 0.7 times.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

import torch
from torch import Tensor, nn

from medical_transfer.runtime.devices import NumberFormat, device


@contextmanager
def slow_depthwise_in_fp32(network: nn.Module, number_format: NumberFormat) -> Iterator[None]:
    """For as long as it lasts, let the slow ones of a network that trains in bf16 on a CPU compute in fp32.

    What goes in and comes out keeps its type. Elsewhere nothing changes.
    """
    found = slow_depthwise(network) if number_format.precision == "bf16" and device().type == "cpu" else []
    for convolution in found:
        convolution.forward = _in_fp32(convolution.forward)  # type: ignore[assignment, method-assign]
    try:
        yield
    finally:
        for convolution in found:
            del convolution.forward  # that of its class shows again


def slow_depthwise(network: nn.Module) -> list[nn.Conv2d]:
    """The depthwise convolutions with a kernel above 3 px or a stride."""
    convolutions = (module for module in network.modules() if isinstance(module, nn.Conv2d))
    depthwise = (each for each in convolutions if each.groups == each.in_channels > 1)
    return [each for each in depthwise if max(each.kernel_size) > 3 or max(each.stride) > 1]


def _in_fp32(forward: Callable[[Tensor], Tensor]) -> Callable[[Tensor], Tensor]:
    def widened(activation: Tensor) -> Tensor:
        with torch.autocast("cpu", enabled=False):
            return forward(activation.float()).to(activation.dtype)

    return widened
