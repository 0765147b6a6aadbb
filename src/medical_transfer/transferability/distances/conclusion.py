"""What the distances allow to say, in sentences."""

from __future__ import annotations

import math
from collections.abc import Mapping

from medical_transfer.transferability.distances.measured import DistanceValue

LEVEL = 0.05
"""Of the whole family of tests: the smallest p-value times the number of tests is held against it (Bonferroni)."""

Distances = Mapping[str, DistanceValue]


def conclude(overall: Distances, per_class: Mapping[str, Distances], source: str) -> str:
    """Whether two domains are told apart under a backbone, by how much, and whether also within classes.

    Args:
        overall: distances of all images.
        per_class: distances within each class that both domains label; may be empty.
        source: name of the backbone.
    """
    values = ", ".join(_said(name, each) for name, each in overall.items() if not math.isnan(each.p_value))
    if not values:
        return f"Under {source} nothing can be said of the two sites: {_reason(overall)}."
    apart = told_apart(overall)
    verdict = "are told apart" if apart else "are not shown to differ"
    return f"The two sites {verdict} under {source}: {values}. {_within(per_class, apart=apart)}".strip()


def told_apart(*families: Distances) -> bool:
    """Whether any of the tests is significant among all of them."""
    found = [each.p_value for family in families for each in family.values() if not math.isnan(each.p_value)]
    return bool(found) and min(found) * len(found) <= LEVEL


def _within(per_class: Mapping[str, Distances], *, apart: bool) -> str:
    """Other shares of the classes make a distance too, and say nothing of scanners or patients."""
    if not apart:
        return ""
    if not per_class:
        return "Without classes that both sites label it stays open whether only the shares of classes differ."
    # Each class is held against the level of all of them together.
    shown = [name for name, family in per_class.items() if told_apart(*[family] * len(per_class))]
    if not shown:
        return f"Within a class ({', '.join(per_class)}) no difference is shown: the shares of classes may be all."
    return f"They are told apart within {' and '.join(shown)} too: it is not the shares of classes alone."


def _said(name: str, value: DistanceValue) -> str:
    words = {"mmd": "squared MMD", "frechet": "Frechet distance", "a_distance": "A-distance"}
    whole = " of 2" if name == "a_distance" else ""
    usual = f"by chance up to {_number(value.null_high)}, p {value.p_value:.2g}"
    return f"{words.get(name, name)} {_number(value.value)}{whole} ({usual})"


def _number(value: float) -> str:
    return f"{value:,.0f}" if abs(value) >= 1000 else f"{value:.3g}"


def _reason(overall: Distances) -> str:
    return next((each.reason for each in overall.values() if each.reason), "no distance was measured")
