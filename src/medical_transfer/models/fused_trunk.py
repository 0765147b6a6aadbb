"""A trunk of several: their features side by side, for heads on frozen features (`model.freeze=all`).

Shapes: images (N, 3, S, S) in [0, 1], features (N, D) with D the sum of the members' D.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar, Self, cast

import torch
from torch import Tensor, nn

from medical_transfer.models.classifier import Normalise
from medical_transfer.models.preprocessing import Preprocessing
from medical_transfer.models.source import Fused
from medical_transfer.models.trunk import AnyTrunk, WholeTrunk


class Member(nn.Module):
    """One of the trunks with the normalisation that it was trained with; nothing of it learns."""

    def __init__(self, trunk: AnyTrunk, preprocessing: Preprocessing) -> None:
        super().__init__()
        self.normalise, self.trunk = Normalise(preprocessing), trunk
        self.requires_grad_(requires_grad=False)

    def forward(self, images: Tensor) -> Tensor:
        """Features (N, D) of images (N, 3, S, S) in [0, 1]."""
        features: Tensor = self.trunk(self.normalise(images))
        return features


class FusedTrunk(WholeTrunk):
    """One stage, all of it frozen and in eval mode whatever `train()` says.

    It takes images as they are (its source's own preprocessing is the identity), since members expect different ones.
    It is not exported as a whole: `medical_transfer.models.runner` runs each member as fast as it would run alone, so
    that a fusion gives the same bits as its members do.
    """

    nature: ClassVar[str] = "is several sources side by side"

    def __init__(self, members: Sequence[Member]) -> None:
        super().__init__(Fused.architecture)
        self.members = nn.ModuleList(members)

    @property
    def trunks(self) -> tuple[AnyTrunk, ...]:
        """The members' trunks in their order."""
        return tuple(cast("Member", member).trunk for member in self.members)

    @property
    def stage_names(self) -> tuple[str, ...]:
        """One stage: all members."""
        return ("members",)

    @property
    def feature_widths(self) -> tuple[int, ...]:
        """D of each member, in their order."""
        return tuple(trunk.feature_dim for trunk in self.trunks)

    @property
    def feature_dim(self) -> int:
        """D, the length of all members' feature vectors together."""
        return sum(self.feature_widths)

    def stage_size(self, index: int) -> int:  # noqa: ARG002 - there is one stage
        """Number of weights of all members."""
        return sum(trunk.stage_size(stage) for trunk in self.trunks for stage in range(len(trunk.stage_names)))

    def see(self, images: Tensor) -> Tensor:
        """Features (N, D) of images, member after member."""
        return torch.cat([member(images) for member in self.members], dim=1)

    def train(self, mode: bool = True) -> Self:  # noqa: FBT001, FBT002 - torch's signature
        """Set the mode of the trunk itself; its members stay in eval mode."""
        super().train(mode)
        self.members.eval()
        return self
