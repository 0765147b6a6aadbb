"""What a phase learns from and is judged on: rows of images, or of activations cached at its cut."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Protocol

import torch
from torch import Tensor

from medical_transfer.data.loaders import Batch, Batches, PairedBatches, Rows, as_float
from medical_transfer.runtime.devices import NumberFormat, device, feeds_ahead


class Feed(Protocol):
    """What a phase is fed with: rows of images or activations, or episodes."""

    @property
    def policy(self) -> str:
        """Name of the augmentation policy, applied to images of a batch."""

    @property
    def steps_per_epoch(self) -> int:
        """Steps of one epoch of training."""

    def training(self, seed: int) -> Iterable[Batch]:
        """One epoch of training, drawn by the seed; it has a length."""

    def validation(self) -> Sequence[Iterable[Batch]]:
        """What an epoch is judged on, the same each time."""

    def as_float(self, inputs: Tensor) -> Tensor:
        """Inputs of a batch as floats."""


@dataclass(frozen=True)
class PhaseData:
    """Training and validation rows at one cut.

    Attributes:
        train: training rows, with as many views as are cached.
        val: validation rows, view 0 only.
        batch_size: images per step.
        policy: name of the augmentation policy, applied here only where the rows are images.
        steps: steps of one epoch; None: as many as show each training row once.
        target: rows of a second domain that come beside the training rows; their labels mean nothing.
        target_val: rows of it that an epoch may be judged on, without labels.
        twice: target rows come as they are and under an augmented view.
    """

    train: Rows
    val: Rows
    batch_size: int
    policy: str
    steps: int | None = None
    target: Rows | None = None
    target_val: Rows | None = None
    twice: bool = False

    @property
    def steps_per_epoch(self) -> int:
        """Steps of one epoch of training."""
        return len(self.training(0))

    def training(self, seed: int) -> Batches | PairedBatches:
        """One shuffled epoch, of pairs where there is a second domain."""
        ahead = feeds_ahead(device())
        if self.target is None:
            return Batches(self.train, batch_size=self.batch_size, seed=seed, steps=self.steps, ahead=ahead)
        return PairedBatches(
            self.train,
            self.target,
            batch_size=self.batch_size,
            seed=seed,
            steps=self.steps,
            twice=self.twice,
            ahead=ahead,
        )

    def validation(self) -> list[Batches]:
        """The validation rows in order, and those of the second domain where there are some."""
        judged = [self.val] if self.target_val is None else [self.val, self.target_val]
        return [Batches(rows, batch_size=4 * self.batch_size, ahead=feeds_ahead(device())) for rows in judged]

    @staticmethod
    def as_float(inputs: Tensor) -> Tensor:
        """Images NSS3 uint8 -> N3SS in [0, 1]; activations of any float -> float32."""
        return as_float(inputs)


def in_format(inputs: Tensor, number_format: NumberFormat) -> Tensor:
    """Pictures (N, C, H, W) in the memory format of a number format; anything else as it is."""
    if inputs.dim() != 4:
        return inputs
    # both ways: images come from the cache with their channels last
    return inputs.contiguous(
        memory_format=torch.channels_last if number_format.channels_last else torch.contiguous_format
    )
