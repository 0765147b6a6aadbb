"""Batch norm whose statistics are those of the support set alone.

Source: Bronskill et al. 2020, "TaskNorm: Rethinking Batch Normalization for Meta-Learning", section 3 ("conventional
batch norm" with statistics of the context set): queries are normalised by what is known before they come, so that none
of them tells anything of another. There are no running statistics: no task leaves a trace for the next.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional

EPSILON = 1e-5


class SupportNorm(nn.Module):
    """Activations (N, D, ...) to mean 0 and variance 1 of each channel over the first rows, those of the support."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.weight, self.bias = nn.Parameter(torch.ones(channels)), nn.Parameter(torch.zeros(channels))

    def forward(self, activation: Tensor, support: int) -> Tensor:
        """Normalised activations of the same shape; `support` is the number of rows that are known."""
        if support == len(activation):
            return functional.batch_norm(activation, None, None, self.weight, self.bias, training=True, eps=EPSILON)
        known = activation[:support]
        over = [axis for axis in range(activation.dim()) if axis != 1]
        variance, mean = torch.var_mean(known, dim=over, correction=0, keepdim=True)
        channels = [1, -1] + [1] * (activation.dim() - 2)
        scale = self.weight.view(channels) / (variance + EPSILON).sqrt()
        return (activation - mean) * scale + self.bias.view(channels)
