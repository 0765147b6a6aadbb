"""DIST: the student's probabilities correlate with the teacher's, within an image and within a class.

Source: Huang et al. 2022, "Knowledge Distillation from A Stronger Teacher", eq. 6 to 9; T^2 as in their code.
Shapes: N images, C classes.
"""

from __future__ import annotations

import torch
from torch import Tensor

from medical_transfer.losses.paired import widened

EPSILON = 1e-8
"""Least length of a centred row, as in the authors' code: equal probabilities correlate with nothing."""


def relations(
    student_logits_NC: Tensor,
    teacher_logits_NC: Tensor,
    *,
    temperature: float = 1.0,
    inter_weight: float = 1.0,
    intra_weight: float = 1.0,
) -> Tensor:
    """T^2 (beta inter + gamma intra).

    Inter is 1 - Pearson's correlation over the classes of an image, mean over images; intra the same over the images of
    a class, mean over classes.

    With two classes the correlation over classes is 1 or -1 whatever the probabilities: it has no gradient and is left
    out.
    """
    student_NC = (widened(student_logits_NC) / temperature).softmax(dim=1)
    teacher_NC = (widened(teacher_logits_NC).detach() / temperature).softmax(dim=1)
    intra = 1 - correlations(student_NC.T, teacher_NC.T).mean()
    if student_NC.shape[1] == 2:
        return temperature**2 * intra_weight * intra
    inter = 1 - correlations(student_NC, teacher_NC).mean()
    return temperature**2 * (inter_weight * inter + intra_weight * intra)


def correlations(left_RK: Tensor, right_RK: Tensor) -> Tensor:
    """Pearson's correlation of each row of one matrix with that of another; about 0 where a row is constant."""
    left_RK, right_RK = (each - each.mean(dim=1, keepdim=True) for each in (left_RK, right_RK))
    lengths = [(each.square().sum(dim=1) + EPSILON**2).sqrt() for each in (left_RK, right_RK)]
    return (left_RK * right_RK).sum(dim=1) / torch.mul(*lengths)
