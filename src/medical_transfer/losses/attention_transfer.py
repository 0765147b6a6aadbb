"""Attention transfer: a student's map is active where the teacher's is.

Source: Zagoruyko & Komodakis 2017, "Paying More Attention to Attention", eq. 2 with p = 2 and sums of squares.
Departure: the mean over images of the squared distance of the two unit vectors, between 0 and 2 on any grid, in place
of a sum over images.
Shapes: N images, K and L channels, H x W places.
"""

from __future__ import annotations

from torch import Tensor
from torch.nn import functional

from medical_transfer.losses.fitnet_hints import on_one_grid
from medical_transfer.losses.paired import widened


def attention_transfer(student_NKHW: Tensor, teacher_NLHW: Tensor) -> Tensor:
    """Squared distance of the two attention maps, mean over images; the numbers of channels may differ."""
    maps = (widened(student_NKHW), widened(teacher_NLHW).detach())
    student_N1HW, teacher_N1HW = on_one_grid(*(each.square().sum(dim=1, keepdim=True) for each in maps))
    student_NP, teacher_NP = (functional.normalize(each.flatten(1), dim=1) for each in (student_N1HW, teacher_N1HW))
    return (student_NP - teacher_NP).square().sum(dim=1).mean()
