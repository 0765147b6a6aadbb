"""Batch norm's means and variances taken anew from other images, with all weights as they are (AdaBN).

Source: Li et al. 2017, "Revisiting Batch Normalization for Practical Domain Adaptation", algorithm 1.
"""

from __future__ import annotations

from collections.abc import Iterable

import torch
from torch import Tensor, nn


class Moments:
    """Count, sum and sum of squares of each channel over everything that a layer was given."""

    def __init__(self) -> None:
        self.count = 0
        self.sums, self.squares = torch.zeros(1), torch.zeros(1)

    def add(self, inputs: Tensor) -> None:
        """Take in (N, C) or (N, C, ...)."""
        flat_CM = inputs.double().transpose(0, 1).flatten(start_dim=1)
        self.count += flat_CM.shape[1]
        self.sums, self.squares = self.sums + flat_CM.sum(dim=1), self.squares + flat_CM.square().sum(dim=1)

    @property
    def mean(self) -> Tensor:
        """Of each channel."""
        return self.sums / self.count

    @property
    def variance(self) -> Tensor:
        """Of each channel, unbiased as torch's running one."""
        return ((self.squares - self.count * self.mean.square()) / (self.count - 1)).clamp(min=0)


def tracking_norms(network: nn.Module) -> list[nn.modules.batchnorm._BatchNorm]:
    """The batch norms that keep statistics."""
    found = [module for module in network.modules() if isinstance(module, nn.modules.batchnorm._BatchNorm)]
    return [norm for norm in found if norm.track_running_stats]


@torch.no_grad()
def reestimate(network: nn.Module, batches: Iterable[Tensor]) -> None:
    """Give every batch norm the mean and variance of what it sees of the batches, and leave the network in eval mode.

    What a layer sees was normalised below by its batch's own statistics, as in training; everything else is in eval
    mode. Over several batches the moments are pooled, so their sizes may differ; each needs two images.
    """
    norms = tracking_norms(network.eval())
    moments = [Moments() for _ in norms]
    hooks = [
        norm.register_forward_pre_hook(lambda _, inputs, own=own: own.add(inputs[0]))
        for norm, own in zip(norms, moments, strict=True)
    ]
    for norm in norms:
        norm.train()
    for batch in batches:
        network(batch)
    for norm, own, hook in zip(norms, moments, hooks, strict=True):
        hook.remove()
        assert norm.running_mean is not None
        assert norm.running_var is not None
        norm.running_mean.copy_(own.mean)
        norm.running_var.copy_(own.variance)
    network.eval()
