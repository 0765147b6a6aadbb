"""Hints: a map in the middle of the student imitates one of the teacher.

Source: Romero et al. 2015, "FitNets: Hints for Thin Deep Nets", eq. 3. Departures: a mean over all entries in place of
half their sum, so that the weight does not hang on the size of the maps; hints go beside the other losses from the
start, not in a stage before them; the regressor has a kernel of 1 px.
Shapes: N images, K channels of the teacher's map, H x W places.
"""

from __future__ import annotations

from torch import Tensor
from torch.nn import functional

from medical_transfer.losses.paired import widened


def hint_loss(regressed_NKHW: Tensor, hint_NKHW: Tensor) -> Tensor:
    """Mean squared difference of the student's map, behind its regressor, and the teacher's, on the smaller grid."""
    student, teacher = on_one_grid(widened(regressed_NKHW), widened(hint_NKHW).detach())
    return functional.mse_loss(student, teacher)


def on_one_grid(left: Tensor, right: Tensor) -> tuple[Tensor, Tensor]:
    """Both maps averaged down to the smaller of their heights and widths."""
    height, width = (min(a, b) for a, b in zip(left.shape[2:], right.shape[2:], strict=True))
    return functional.adaptive_avg_pool2d(left, (height, width)), functional.adaptive_avg_pool2d(right, (height, width))
