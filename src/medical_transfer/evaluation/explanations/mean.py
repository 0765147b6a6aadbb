"""A mean over images with an interval from drawing whole groups again."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from medical_transfer.metrics.intervals import bootstrap_counts, intervals


def mean_interval(
    values_N: NDArray[np.float64], groups_N: NDArray[np.int64], *, resamples: int, coverage: float, seed: int
) -> dict[str, Any]:
    """A published row (`estimate, low, high, n, groups`); of differences by image it is the paired interval."""
    one_stratum_N = np.zeros(len(values_N), dtype=np.int64)
    chunks = bootstrap_counts(groups_N, one_stratum_N, resamples, np.random.default_rng(seed))
    found = intervals({"it": lambda weights_bN: weights_bN @ values_N / weights_bN.sum(axis=1)}, chunks, coverage)["it"]
    return {**found.row(n=len(values_N), groups=int(np.unique(groups_N).size))}
