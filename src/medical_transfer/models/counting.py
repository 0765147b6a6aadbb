"""What a network costs wherever it runs: its parameters, and its multiplications for one image."""

from __future__ import annotations

import torch
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

from medical_transfer.models.onnx_source import exportable


def count_parameters(network: nn.Module) -> int:
    """Numbers that were learned, those that are frozen included; statistics of batch norms are not among them."""
    return sum(parameter.numel() for parameter in network.parameters())


@torch.no_grad()
def count_macs(network: nn.Module, *, size: int) -> int | None:
    """Multiply-accumulates of convolutions and matrix products for one image of `size` pixels.

    torch's own counter sees them; it counts two operations for each. None where a part runs outside torch.
    """
    if not exportable(network):
        return None
    counter = FlopCounterMode(display=False)
    with counter:
        network.eval()(torch.zeros(1, 3, size, size))
    return int(counter.get_total_flops()) // 2
