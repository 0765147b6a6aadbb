"""Random smooth textures in colour, which stand in for photographs where a network must not learn backgrounds by heart.

Shapes: N images of S x S pixels.
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional

OCTAVES = {2: 1.0, 4: 0.7, 8: 0.5, 16: 0.35, 32: 0.2}
"""Cells per side of a lattice of random numbers -> its strength: coarse ones are stronger, as in photographs."""
CHROMA = 0.5
"""Spread of a channel's own noise beside that which all three share."""
MEAN = (0.2, 0.8)
SPREAD = (0.05, 0.35)


def textures(n: int, side: int, generator: torch.Generator) -> Tensor:
    """Textures (n, 3, side, side) in [0, 1]: lattices of normal noise, interpolated and summed.

    Each image has means of its own per channel (`MEAN`) and a contrast of its own (`SPREAD`); numbers are drawn on the
    CPU.
    """
    noise = torch.zeros(n, 3, side, side)
    for cells, strength in OCTAVES.items():
        shared, own = (torch.randn(n, count, cells, cells, generator=generator) for count in (1, 3))
        lattice = shared + CHROMA * own
        noise += strength * functional.interpolate(lattice, (side, side), mode="bilinear", align_corners=False)
    mean, spread = torch.rand(n, 3, 1, 1, generator=generator), torch.rand(n, 1, 1, 1, generator=generator)
    return (_within(MEAN, mean) + _within(SPREAD, spread) * noise).clamp(0, 1)


def _within(limits: tuple[float, float], share: Tensor) -> Tensor:
    low, high = limits
    return low + (high - low) * share
