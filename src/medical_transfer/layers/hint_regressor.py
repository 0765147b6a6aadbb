"""What a student's map goes through before it is compared with the teacher's (Romero et al. 2015, section 2.2)."""

from __future__ import annotations

from torch import Tensor, nn


class HintRegressor(nn.Module):
    """A convolution of 1 px from the student's channels to the teacher's; it learns beside the student."""

    def __init__(self, student_channels: int, teacher_channels: int) -> None:
        super().__init__()
        self.convolution = nn.Conv2d(student_channels, teacher_channels, 1)

    def forward(self, map_NKHW: Tensor) -> Tensor:
        """The map (N, L, H, W) of as many channels as the teacher's."""
        regressed: Tensor = self.convolution(map_NKHW)
        return regressed
