"""How far two data sets lie apart under one backbone: each distance in its own file, with a permutation test.

A distance is a function of `TwoDomains` and a number of permutations that returns a `Permuted`; larger: further apart.
A new distance = its file, its line in this menu, its name in `reporting/domain_distance.py`, its own test.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

from medical_transfer.transferability.distances.a_distance import a_distance
from medical_transfer.transferability.distances.frechet import frechet
from medical_transfer.transferability.distances.mmd import mmd
from medical_transfer.transferability.distances.permuted import Permuted
from medical_transfer.transferability.distances.two_domains import TwoDomains

Distance = Callable[[TwoDomains, int], Permuted]

DISTANCES: Mapping[str, Distance] = {"mmd": mmd, "frechet": frechet, "a_distance": a_distance}
"""Every distance by name."""

__all__ = ["DISTANCES", "Distance", "Permuted", "TwoDomains"]
