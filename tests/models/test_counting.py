from __future__ import annotations

import torch
from torch import nn

from medical_transfer.models.counting import count_macs, count_parameters


class Small(nn.Module):
    def __init__(self):
        super().__init__()
        self.convolution = nn.Conv2d(3, 8, 3, stride=2, padding=1, bias=False)
        self.depthwise = nn.Conv2d(8, 8, 5, padding=2, groups=8)
        self.norm, self.linear = nn.BatchNorm2d(8), nn.Linear(8, 4)

    def forward(self, images):
        maps = self.norm(self.depthwise(self.convolution(images)))
        return self.linear(maps.mean((2, 3)))


def test_by_hand():
    """3x3x3 products for each of 8 maps of 8 x 8, 5x5 for each of the same, and a matrix of 8 x 4."""
    network = Small().train()
    assert count_parameters(network) == 3 * 3 * 3 * 8 + (25 * 8 + 8) + 2 * 8 + (8 * 4 + 4)
    before = network.norm.running_mean.clone()
    assert count_macs(network, size=16) == 27 * 8 * 64 + 25 * 8 * 64 + 8 * 4
    assert torch.equal(network.norm.running_mean, before)


def test_what_torch_does_not_run_is_not_counted():
    network = Small()
    network.exportable = False
    assert count_macs(network, size=16) is None
