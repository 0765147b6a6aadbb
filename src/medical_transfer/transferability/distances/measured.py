"""Distances with their p-values and their cost in seconds."""

from __future__ import annotations

import math
import time
from dataclasses import dataclass

import numpy as np

from medical_transfer.transferability.distances import DISTANCES, Distance, TwoDomains
from medical_transfer.transferability.evidence import Undefined


@dataclass(frozen=True, slots=True)
class DistanceValue:
    """One distance: its value and p-value (NaN where undefined, with the reason), and what it cost."""

    value: float
    p_value: float
    seconds: float
    reason: str | None = None
    n: int = 0
    """Images of both domains."""
    permutations: int = 0
    null_mean: float = math.nan
    """Mean under permuted labels: what equal domains of these sizes give."""
    null_low: float = math.nan
    """5 % of permuted labels give less."""
    null_high: float = math.nan
    """5 % of permuted labels give more."""


def measure_all(domains: TwoDomains, *, permutations: int, frechet_permutations: int) -> dict[str, DistanceValue]:
    """Every distance of the menu by name."""
    each = {name: frechet_permutations if name == "frechet" else permutations for name in DISTANCES}
    return {name: measure(distance, domains, each[name]) for name, distance in DISTANCES.items()}


def measure(distance: Distance, domains: TwoDomains, permutations: int) -> DistanceValue:
    """Compute, test and time one distance; `Undefined` becomes NaN with its reason, any other error passes."""
    started_s, images = time.perf_counter(), len(domains.source_ND) + len(domains.target_MD)
    try:
        found = distance(domains, permutations)
    except Undefined as undefined:
        return DistanceValue(math.nan, math.nan, time.perf_counter() - started_s, str(undefined), n=images)
    low, high = np.quantile(found.null_B, [0.05, 0.95])
    return DistanceValue(
        value=found.value,
        p_value=found.p_value,
        seconds=time.perf_counter() - started_s,
        n=images,
        permutations=permutations,
        null_mean=float(found.null_B.mean()),
        null_low=float(low),
        null_high=float(high),
    )
