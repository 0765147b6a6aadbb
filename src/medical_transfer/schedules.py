"""Shapes over training: pure functions from progress to a number.

Of the learning rate (`SCHEDULES`): from `epochs_done`, a real number of epochs (steps / steps per epoch), and `epochs`,
the length of the phase, to a factor of the rate. Of gradient reversal: from `progress`, 0 to 1, to its strength.
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


def one_cycle(epochs_done: float, epochs: int, rise: float = 0.3, start: float = 25, end: float = 1e4) -> float:
    """Half a cosine up from 1/`start` to 1, then half a cosine down to 1/(`start` `end`) (Smith & Topin 2018).

    Departures from the paper, all as torch's `OneCycleLR` has them by default: cosines instead of straight lines, a
    peak at three tenths instead of near the middle, no stretch of its own for the last fall. Momentum is not cycled:
    AdamW keeps its own. torch counts whole steps and reaches its peak one of them earlier.
    """
    progress, lowest = min(epochs_done / epochs, 1.0), 1 / (start * end)
    if progress < rise:
        return _cosine(1 / start, 1.0, progress / rise)
    return _cosine(1.0, lowest, (progress - rise) / (1 - rise))


def slanted_triangular(epochs_done: float, epochs: int, rise: float = 0.1, ratio: float = 32) -> float:
    """Straight up from 1/`ratio` to 1 over a tenth of the phase, straight down again (Howard & Ruder 2018, eq. 3).

    The paper's `cut` is a whole number of steps; here it is a share of the phase, which is the same where it is whole.
    """
    progress = min(epochs_done / epochs, 1.0)
    height = progress / rise if progress < rise else 1 - (progress - rise) / (1 - rise)
    return (1 + height * (ratio - 1)) / ratio


def reversal_strength(progress: float, *, gamma: float = 10.0, highest: float = 1.0) -> float:
    """Strength of gradient reversal, 0 at the start and all but `highest` at the end (Ganin 2016, section 5.2.2).

    highest (2 / (1 + exp(-gamma p)) - 1), with the paper's gamma = 10: a discriminator that has learned nothing yet
    has nothing to teach. The upper limit scales the whole curve, so its shape stays.

    Args:
        progress: p = global step / total steps, as in the paper; the chapter's epoch / epochs is a staircase below it
            that begins with an epoch without adaptation. Beyond 0 to 1 it counts as the nearer end.
        gamma: steepness; 0 never adapts, infinity at once.
        highest: upper limit, 1 in the paper.
    """
    p = min(max(progress, 0.0), 1.0)
    if p == 0:
        return 0.0
    return highest * (2 / (1 + math.exp(-gamma * p)) - 1)


def _cosine(first: float, last: float, share: float) -> float:
    """From `first` to `last` along half a cosine."""
    return last + (first - last) * 0.5 * (1 + math.cos(math.pi * share))


SCHEDULES: Mapping[str, Schedule] = MappingProxyType(
    {
        "constant": constant,
        "warmup_cosine": warmup_cosine,
        "cosine_restarts": cosine_restarts,
        "one_cycle": one_cycle,
        "slanted_triangular": slanted_triangular,
    }
)
