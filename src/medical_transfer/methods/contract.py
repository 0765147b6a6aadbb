"""What a method hands to the trainer: its phases and, per batch, its loss terms."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

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
        groups: optimizer groups as torch takes them (`params`, `lr`, `weight_decay`, `name`).
        schedule: shape of the learning rate over the phase.
        converges: the loss is convex, so the phase runs to its end, near the minimum, and only its last epoch competes
            for the best: which epoch on the way there validation likes is chance.
    """

    name: str
    cut: int
    frozen: int
    epochs: int
    groups: tuple[dict[str, Any], ...]
    schedule: Schedule = constant
    converges: bool = False
