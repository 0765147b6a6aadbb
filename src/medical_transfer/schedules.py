"""Learning-rate shapes: pure functions from the progress of a phase to a factor of the rate.

`epochs_done` is a real number of epochs (steps / steps per epoch), `epochs` the length of the phase.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from types import MappingProxyType

Schedule = Callable[[float, int], float]


def constant(epochs_done: float, epochs: int) -> float:  # noqa: ARG001 - one signature for all shapes
    """Factor 1 throughout."""
    return 1.0


def warmup_cosine(epochs_done: float, epochs: int, warmup: float = 0.1) -> float:
    """Rise over a tenth of the phase (from .01), then half a cosine to 0 (Loshchilov & Hutter 2017, eq. 5)."""
    progress = min(epochs_done / epochs, 1.0)
    if progress < warmup:
        return max(progress / warmup, 0.01)  # a rate of 0 would waste the first step
    return 0.5 * (1 + math.cos(math.pi * (progress - warmup) / (1 - warmup)))


def cosine_restarts(epochs_done: float, epochs: int, first: int = 10, growth: int = 2) -> float:  # noqa: ARG001
    """Cosine to 0 within each cycle; cycles last `first`, `first * growth`, ... epochs (SGDR, T_0 and T_mult)."""
    length, start = float(first), 0.0
    while epochs_done - start >= length:
        start += length
        length *= growth
    return 0.5 * (1 + math.cos(math.pi * (epochs_done - start) / length))


SCHEDULES: Mapping[str, Schedule] = MappingProxyType(
    {"constant": constant, "warmup_cosine": warmup_cosine, "cosine_restarts": cosine_restarts}
)
