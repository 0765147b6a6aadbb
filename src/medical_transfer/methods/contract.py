"""What a method hands to the trainer: its phases, per batch its loss terms, and what it makes of validation rows.

Shapes: N rows of the source's validation images, M of the target's, C classes, H features.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from medical_transfer.schedules import Schedule, constant


@dataclass(frozen=True)
class LossTerms:
    """The scalar that is minimised, and its parts by name as they appear in the history."""

    total: Tensor
    parts: Mapping[str, Tensor] = field(default_factory=dict)


@dataclass(frozen=True)
class Phase:
    """A stretch of training with its own trainable part, optimizer groups and progress from 0 to 1.

    Attributes:
        name: how the phase is called in the history and on disk.
        cut: index of the trunk's stage where cached activations enter; 0 learns from the images themselves.
        frozen: number of the trunk's first stages that do not learn; the cut, unless the phase learns from images
            although some are frozen: the network cannot be cut, or its activations there are not worth caching.
        epochs: the most epochs it may take.
        groups: optimizer groups as torch takes them (`params`, `lr`, `weight_decay`, `name`); those with another `part`
            than the network's have their gradients clipped by themselves.
        schedule: shape of the learning rate over the phase.
        converges: the loss is convex, so the phase runs to its end, near the minimum, and only its last epoch competes
            for the best: which epoch on the way there validation likes is chance.
        pairs: each batch holds rows of a second domain beside those of the first.
        twice: those rows come as they are and under an augmented view.
        warms_up: its best epoch is where the next phase begins, and never the result once a later phase has an epoch.
    """

    name: str
    cut: int
    frozen: int
    epochs: int
    groups: tuple[dict[str, Any], ...]
    schedule: Schedule = constant
    converges: bool = False
    pairs: bool = False
    twice: bool = False
    warms_up: bool = False


@dataclass(frozen=True)
class Predictions:
    """Logits (N, C) of a batch, and the features (N, H) that the last layer saw, where the method tells them.

    `labels` (N,) are given where not all rows of the batch are judged, as in an episode: only its queries are.
    """

    logits: Tensor
    features: Tensor | None = None
    labels: Tensor | None = None


@dataclass(frozen=True)
class Outputs:
    """What an epoch is judged by: predictions for validation rows of the source, with labels, and of the target.

    There is no place for labels of the target.
    """

    logits_NC: NDArray[np.float64]
    labels_N: NDArray[np.int64]
    features_NH: NDArray[np.float64] | None = None
    target_logits_MC: NDArray[np.float64] | None = None
    target_features_MH: NDArray[np.float64] | None = None
