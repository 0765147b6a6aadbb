"""Untrained networks made to depend on their images as trained ones do, so that a wrong input or layer shows."""

from __future__ import annotations

import torch
from torch import nn


@torch.no_grad()
def alive(network: nn.Module, side: int, seed: int = 3) -> nn.Module:
    """Norms and biases off their initial 0 and 1, batch norms told what their activations are; in eval mode."""
    generator = torch.Generator().manual_seed(seed)
    for parameter in network.parameters():
        if parameter.ndim == 1:
            parameter.copy_(parameter.clamp(max=1) + torch.rand(parameter.shape, generator=generator) / 2)
    norms = [module for module in network.modules() if isinstance(module, nn.BatchNorm2d)]
    for module in norms:
        module.weight.clamp_(min=1)  # timm starts the last norm of each block at 0
        module.momentum = None  # the plain mean over all batches
    if norms:
        network.train()(torch.randn(4, 3, side, side, generator=generator))
    return network.eval()
