"""Signs, without a target label, that adaptation made a network worse than no adaptation at all."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence

import numpy as np

from medical_transfer.metrics.classification import Floats

TOLERANCE = 0.01
"""A fall below this is noise: a percent of accuracy, a hundredth of a nat."""
NEARLY_ALL = 0.95
"""Share of images in one class that is looked into."""
RARER = 4.0
"""The other classes together must be so many times rarer than in the source."""


def signs_of_negative_transfer(
    source_only: Mapping[str, float],
    adapted: Mapping[str, float],
    *,
    probabilities_NC: Floats,
    source_prior_C: Floats,
    classes: Sequence[str],
    tolerance: float = TOLERANCE,
) -> tuple[str, ...]:
    """Reasons in words to distrust the adapted network; none does not mean that it is good.

    A score that fell by more than `tolerance`, or has no value any more; and collapse: at least 95 % of the target
    images in one class, while the others together are at least four times as frequent in the source.

    Args:
        source_only: label-free scores (higher is better) of the network without adaptation, by name.
        adapted: the same scores of the adapted network, on the same images.
        probabilities_NC: predictions of the adapted network on target images.
        source_prior_C: share of each class among the source's training images.
        classes: their names.
        tolerance: in units of the scores.

    Raises:
        ValueError: the two networks were not given the same scores.
    """
    if source_only.keys() != adapted.keys():
        raise ValueError(f"scores of both networks are compared, found {sorted(source_only)} and {sorted(adapted)}")
    falls = (_fall(name, source_only[name], adapted[name], tolerance) for name in source_only)
    return tuple(reason for reason in (*falls, *_collapse(probabilities_NC, source_prior_C, classes)) if reason)


def _fall(name: str, before: float, after: float, tolerance: float) -> str:
    if math.isnan(before):
        return ""
    if math.isnan(after):
        return f"{name} was {before:.3f} without adaptation and has no value with it"
    return f"{name} fell from {before:.3f} to {after:.3f} by adaptation" if after < before - tolerance else ""


def _collapse(probabilities_NC: Floats, source_prior_C: Floats, classes: Sequence[str]) -> Iterator[str]:
    share_C = np.bincount(probabilities_NC.argmax(axis=1), minlength=len(classes)) / len(probabilities_NC)
    most = int(share_C.argmax())
    share, prior = float(share_C[most]), float(source_prior_C[most])
    if share >= NEARLY_ALL and (1 - prior) >= RARER * (1 - share) and share > prior:
        yield f"{share:.0%} of target images are called {classes[most]}, which is {prior:.0%} of the source"
