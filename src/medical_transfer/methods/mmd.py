"""MMD: the distance of the two domains' features, as means in a kernel's space, stands in the loss.

Source: Long et al. 2015, "Learning Transferable Features with Deep Adaptation Networks" (DAN); the chapter, 3.3.
Departures: one layer, the last but one, in place of several; equal weights of the kernels; the unbiased statistic by
default.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from types import MappingProxyType

from torch import Tensor

from medical_transfer.config import adaptation as config
from medical_transfer.losses.mmd import CHAPTER_BANDWIDTH, linear_mmd2, mmd2
from medical_transfer.methods.adaptation import Adaptation, Seen
from medical_transfer.methods.contract import LossTerms

DISCREPANCIES: Mapping[str, Callable[..., Tensor]] = MappingProxyType(
    {
        "gaussian": mmd2,
        "linear": linear_mmd2,
        "chapter": partial(mmd2, scales=(1.0,), bandwidth=CHAPTER_BANDWIDTH),
    }
)
"""`training.mmd.kernel` -> squared discrepancy."""


class Mmd(Adaptation):
    """Fine-tuning with the squared discrepancy of features beside it."""

    own: config.Mmd

    def domain_term(self, source: Seen, target: Seen, again: Seen | None, progress: float) -> LossTerms:  # noqa: ARG002
        """Weight times squared MMD."""
        loss = DISCREPANCIES[self.own.kernel](source.features, target.features, biased=self.own.biased)
        return LossTerms(self.own.weight * loss, {"mmd": loss})
