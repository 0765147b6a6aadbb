"""Curves of a method's maps beside those of random orders and of other images' maps, image by image.

Shapes: N images, maps (N, g, g), K + 1 points of a curve.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from medical_transfer.evaluation.explanations.deletion import KINDS, area, curve, ends, places, shuffled
from medical_transfer.evaluation.explanations.mean import mean_interval
from medical_transfer.runtime.progress import progress

OWN, RIVALS = "map", ("random", "other_image")
Probability = Callable[[int, Tensor], Tensor]
"""Probability (n,) of a class, by its number, of images (n, 3, S, S)."""
Curves = dict[str, dict[str, NDArray[np.float64]]]
"""Kind -> whose order -> curves (N, K + 1)."""


def curves_of(
    probability: Probability,
    images: Tensor,
    targets_N: NDArray[np.int64],
    maps_Ngg: NDArray[np.float64],
    *,
    steps: int,
    random_orders: int,
    rng: np.random.Generator,
) -> Curves:
    """Curves of each image, by its own map, by random orders (their mean) and by the map of the next image."""
    found: dict[str, dict[str, list[NDArray[np.float64]]]] = {
        kind: {who: [] for who in (OWN, *RIVALS)} for kind in KINDS
    }
    for number, image in enumerate(progress(images, "Deleting pixels", unit="image")):
        size, decided = image.shape[-1], partial(probability, int(targets_N[number]))
        orders = {OWN: [maps_Ngg[number]], "other_image": [maps_Ngg[(number + 1) % len(maps_Ngg)]]}
        orders["random"] = [shuffled(maps_Ngg[number], rng) for _ in range(random_orders)]
        for kind in KINDS:
            start, end = ends(image, kind)
            for who, maps in orders.items():
                walks = [curve(decided, start, end, places(each, size, rng), steps) for each in maps]
                found[kind][who].append(np.mean(walks, axis=0))
    return {kind: {who: np.stack(each) for who, each in by.items()} for kind, by in found.items()}


def compared(
    curves: Curves, groups_N: NDArray[np.int64], *, resamples: int, coverage: float, seed: int
) -> dict[str, Any]:
    """Mean curves, their areas, and by how much the map's own order is better than each rival's, paired by image.

    `lead` is above 0 where the map is better: rival minus map for deletion, map minus rival for insertion.
    """
    settings: dict[str, Any] = {"resamples": resamples, "coverage": coverage, "seed": seed}
    told: dict[str, Any] = {}
    for kind, by in curves.items():
        areas = {who: np.array([area(each) for each in curves_NK]) for who, curves_NK in by.items()}
        sign = -1 if kind == "deletion" else 1
        told[kind] = {
            "curves": {who: curves_NK.mean(axis=0).tolist() for who, curves_NK in by.items()},
            "areas": {who: float(areas_N.mean()) for who, areas_N in areas.items()},
            "lead": {who: mean_interval(sign * (areas[OWN] - areas[who]), groups_N, **settings) for who in RIVALS},
        }
    return told
