"""What a phase learns from and is judged on: rows of images, or of activations cached at its cut."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from medical_transfer.data.loaders import Batches, Rows
from medical_transfer.runtime.devices import NumberFormat, device, feeds_ahead


@dataclass(frozen=True)
class PhaseData:
    """Training and validation rows at one cut.

    Attributes:
        train: training rows, with as many views as are cached.
        val: validation rows, view 0 only.
        batch_size: images per step.
        policy: name of the augmentation policy, applied here only where the rows are images.
        steps: steps of one epoch; None: as many as show each training row once.
    """

    train: Rows
    val: Rows
    batch_size: int
    policy: str
    steps: int | None = None

    @property
    def steps_per_epoch(self) -> int:
        """Steps of one epoch of training."""
        return len(self.training(0))

    def training(self, seed: int) -> Batches:
        """One shuffled epoch."""
        return Batches(self.train, batch_size=self.batch_size, seed=seed, steps=self.steps, ahead=feeds_ahead(device()))

    def validation(self) -> Batches:
        """The validation rows in order."""
        return Batches(self.val, batch_size=4 * self.batch_size, ahead=feeds_ahead(device()))

    @staticmethod
    def as_float(inputs: Tensor) -> Tensor:
        """Images NSS3 uint8 -> N3SS in [0, 1]; activations of any float -> float32."""
        if inputs.dtype == torch.uint8:
            return inputs.permute(0, 3, 1, 2).float() / 255
        return inputs.float()


def in_format(inputs: Tensor, number_format: NumberFormat) -> Tensor:
    """Pictures (N, C, H, W) in the memory format of a number format; anything else as it is."""
    if inputs.dim() != 4:
        return inputs
    # both ways: images come from the cache with their channels last
    return inputs.contiguous(
        memory_format=torch.channels_last if number_format.channels_last else torch.contiguous_format
    )
