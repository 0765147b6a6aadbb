"""How many positives it takes to show a sensitivity (or negatives a specificity), exactly.

What is shown is a proportion of independent units: patients, or images where each is of another patient.
"""

from __future__ import annotations

import numpy as np

from medical_transfer.metrics.classification import Codes, Floats

MOST = 1_000_000
"""No more units are tried: who needs more cannot show it."""


def lowest_shown(found: int, units: int, coverage: float = 0.95) -> float:
    """The low end of the exact interval of a proportion (Clopper and Pearson 1934); 0 where nothing was found."""
    from scipy.stats import beta  # noqa: PLC0415 - half a second that only this should pay

    return float(beta.ppf((1 - coverage) / 2, found, units - found + 1)) if found else 0.0


def units_to_show(target: float, true: float, *, coverage: float = 0.95, power: float = 0.8) -> int | None:
    """The fewest units from which on the low end of the exact interval is likely to reach the target.

    Args:
        target: the proportion that is to be shown.
        true: what it is in truth, as far as one knows.
        coverage: of the two-sided exact interval.
        power: how likely it is to be shown with so many units, and with any larger number.

    Returns:
        None where `true` is no more than the target, or it would take more than a million.

    The power of an exact test rises in the shape of a saw, so the first number that reaches it may lose it again; this
    is the number after which it never does. Source: exact binomial test, e.g. Chow et al. (2017), section 4.1.
    """
    if not target < true <= 1:
        return None
    most = 256
    while most <= MOST:
        low_N = np.flatnonzero(_power(np.arange(1, most + 1), target, true, coverage) < power)
        last = int(low_N[-1]) + 1 if low_N.size else 0
        if last <= most // 2:  # and from there on for as many again
            return last + 1
        most *= 4
    return None


def _power(units_N: Codes, target: float, true: float, coverage: float) -> Floats:
    """The chance, by number of units, of so many successes that the low end of their interval reaches the target."""
    from scipy.stats import binom  # noqa: PLC0415

    tail = (1 - coverage) / 2
    fewest_N = binom.isf(tail, units_N, target) + 1  # the fewest successes whose chance under the target is <= tail
    return np.asarray(binom.sf(fewest_N - 1, units_N, true))


def in_words(what: str, target: float, true: float, *, units: int, unit: str = "independent positive images") -> str:
    """A sentence on how far some number of units carries."""
    needed = units_to_show(target, true)
    if needed is None:
        return (
            f"A {what} of {target:.3g} cannot be shown where the true one is {true:.3g}: a better model, or a lower "
            "target, is needed."
        )
    enough = "which there are" if units >= needed else f"of which there are {units}"
    return (
        f"To show a {what} of {target:.3g} (low end of its exact 95 % interval, with 80 % power) where the true one is "
        f"{true:.3g} takes {needed} {unit}, {enough}."
    )
