"""Permutation tests: what a distance would be if it did not matter which groups are of the source.

Whole groups (patients) are permuted: their images are not independent. As many groups as the source has are called
source each time, so the numbers of images vary with the sizes of groups. The test holds whatever the distance and
however biased it is, as far as groups of both domains are exchangeable when the domains do not differ.

Shapes: B permutations, G groups, P pooled images.
Source: Phipson and Smyth (2010), Permutation p-values should never be zero.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from medical_transfer.transferability.evidence import Floats, Integers

TIE = 1e-9
"""Two values closer than this, in units of the largest, count as equal: the same labels summed in another order."""


@dataclass(frozen=True, eq=False)
class Permuted:
    """A distance, and what it is under B random labels."""

    value: float
    null_B: Floats

    @property
    def p_value(self) -> float:
        """(1 + b) / (1 + B), where b random labels gave at least the value."""
        slack = TIE * float(np.abs([*self.null_B, self.value]).max())
        at_least = int((self.null_B >= self.value - slack).sum())
        return (1 + at_least) / (1 + len(self.null_B))


def permuted(values_A: Floats) -> Permuted:
    """From the distance under the labels of `labelings`, whose first row is the true one."""
    return Permuted(float(values_A[0]), np.asarray(values_A[1:], dtype=np.float64))


def labelings(
    is_source_G: NDArray[np.bool_], permutations: int, rng: np.random.Generator, strata_G: Integers | None = None
) -> NDArray[np.bool_]:
    """Whether each group is called source: (1 + B, G), the true labels first, then B permutations of them.

    Args:
        is_source_G: the true labels.
        permutations: B.
        rng: source of the draws.
        strata_G: permute within these only.
    """
    labels_AG = np.tile(is_source_G, (1 + permutations, 1))
    for stratum in np.unique(strata_G) if strata_G is not None else (None,):
        mine_G = np.full(len(is_source_G), fill_value=True) if stratum is None else strata_G == stratum
        labels_AG[1:, mine_G] = rng.permuted(labels_AG[1:, mine_G], axis=1)
    return labels_AG
