"""The mean over episodes with its 95 % interval. No torch."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from medical_transfer.types import Interval

Z = 1.959964
"""97.5 % quantile of the normal distribution; with 600 episodes Student's is 1.964."""


def mean_interval(values_E: NDArray[np.float64]) -> Interval:
    """Mean of what is known, plus and minus 1.96 standard errors; NaN ends for fewer than two values.

    It says how far the mean over episodes of these very images would move, not how other images would do.
    """
    known = values_E[np.isfinite(values_E)]
    if known.size < 2:
        return Interval(float(known.mean()) if known.size else math.nan)
    mean, half = float(known.mean()), Z * float(known.std(ddof=1)) / math.sqrt(known.size)
    return Interval(mean, mean - half, mean + half)
