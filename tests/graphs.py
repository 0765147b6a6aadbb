"""Small networks and the ONNX graphs that torch's own exporter makes of them."""

from __future__ import annotations

import warnings
from pathlib import Path

import torch
from torch import nn

SIDE, WIDTH = 32, 7


class Tiny(nn.Module):
    """Any N and S to `pooled` (N, 7), and to `maps` (N, 5, S/2, S/2)."""

    def __init__(self, seed: int = 0) -> None:
        super().__init__()
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            self.convolution, self.linear = nn.Conv2d(3, 5, 3, stride=2, padding=1), nn.Linear(5, WIDTH)

    def forward(self, images: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        maps = self.convolution(images).relu()
        return self.linear(maps.mean((2, 3))), maps


def export(
    network: nn.Module,
    path: Path,
    *,
    shape: tuple[int, ...] = (2, 3, SIDE, SIDE),
    free: tuple[int, ...] = (0, 2, 3),
    outputs: tuple[str, ...] = ("pooled", "maps"),
) -> Path:
    """Write a graph whose input has the axes `free` open and the others fixed at `shape`."""
    axes = {"pixels": {axis: "NCHW"[axis] for axis in free}}
    if 0 in free:
        axes |= {name: {0: "N"} for name in outputs}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the exporter's own affair
        torch.onnx.export(
            network.eval(),
            (torch.zeros(shape),),
            str(path),
            input_names=["pixels"],
            output_names=list(outputs),
            dynamic_axes=axes,
            opset_version=17,
            dynamo=False,
        )
    return path
