"""Does a map change where the weights know nothing? One that does not shows the image, not what was learned.

Source: Adebayo et al. (2018), section 4: rank correlation of the map of the trained network with that of a random one.
Shapes: R random networks, N images, maps (N, g, g).
"""

from __future__ import annotations

from collections.abc import Mapping
from itertools import permutations
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray
from scipy.stats import spearmanr

from medical_transfer.evaluation.explanations.mean import mean_interval

Maps = NDArray[np.float64]
Verdict = Literal["changes", "unclear", "stays"]

SAME = 0.5
"""A mean rank correlation above this is a map that stays."""


def rank_correlation(trained_gg: Maps, random_gg: Maps) -> float:
    """Spearman's rank correlation of two maps.

    0 where only the second says the same of all places: it keeps no order. NaN where the first does.
    """
    if np.ptp(trained_gg) == 0:
        return float("nan")
    if np.ptp(random_gg) == 0:
        return 0.0
    return float(spearmanr(trained_gg, random_gg, axis=None).statistic)


def correlations(trained_Ngg: Maps, random_RNgg: Maps) -> NDArray[np.float64]:
    """Rank correlation (R, N) of each image's map with that of each random network."""
    return np.array(
        [[rank_correlation(*pair) for pair in zip(trained_Ngg, maps_Ngg, strict=True)] for maps_Ngg in random_RNgg]
    )


def between_images(maps_Ngg: Maps) -> float:
    """Mean rank correlation of maps of different images: near 1 where a method marks the same place on all."""
    found = [rank_correlation(one, other) for one, other in permutations(maps_Ngg, 2)]
    defined = [value for value in found if np.isfinite(value)]
    return float(np.mean(defined)) if defined else float("nan")


def judged(
    correlation_RN: NDArray[np.float64], groups_N: NDArray[np.int64], *, resamples: int, coverage: float, seed: int
) -> dict[str, Any]:
    """Mean over images of the mean over random networks, with its interval, spread and verdict.

    `low_spread` and `high_spread` hold the middle 80 % of all R x N values; `up_to_sign` is the mean of the absolute
    values; `empty` counts images whose map says the same of all places, which are left out.
    """
    defined_N = np.isfinite(correlation_RN).all(axis=0)
    kept_RN = correlation_RN[:, defined_N]
    facts = {"networks": len(correlation_RN), "empty": int((~defined_N).sum())}
    if kept_RN.shape[1] == 0:
        return {**facts, "mean": None, "verdict": "unclear"}
    mean = mean_interval(kept_RN.mean(axis=0), groups_N[defined_N], resamples=resamples, coverage=coverage, seed=seed)
    spread = np.quantile(kept_RN, [0.1, 0.9])
    return {
        **facts,
        "mean": mean,
        "low_spread": float(spread[0]),
        "high_spread": float(spread[1]),
        "up_to_sign": float(np.abs(kept_RN).mean()),
        "verdict": verdict_of(mean),
    }


def verdict_of(mean: Mapping[str, Any]) -> Verdict:
    """`changes` or `stays` where the whole interval says so."""
    if mean["high"] < SAME:
        return "changes"
    return "stays" if mean["low"] > SAME else "unclear"
