"""Relational distillation: images lie to one another in the student's features as they do in the teacher's.

Source: Park et al. 2019, "Relational Knowledge Distillation", eq. 5 to 9. The two networks' features may have different
lengths. Distances and angles come from inner products, so that no tensor of pairs times features is made.
Shapes: N images, D and E features.
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional

from medical_transfer.losses.paired import product, widened

EPSILON = 1e-12
"""Least squared distance, as in the authors' code: equal images have no direction and no gradient."""


def distance_relation(student_ND: Tensor, teacher_NE: Tensor) -> Tensor:
    """Huber loss (delta 1) of distances between images, each network's divided by their mean; mean over all pairs."""
    student_NN, teacher_NN = (_relative(_distances(each)) for each in _both(student_ND, teacher_NE))
    return functional.smooth_l1_loss(student_NN, teacher_NN)


def angle_relation(student_ND: Tensor, teacher_NE: Tensor) -> Tensor:
    """Huber loss (delta 1) of the cosines of angles i-j-k between images, mean over all triples."""
    student_NNN, teacher_NNN = (_cosines(each) for each in _both(student_ND, teacher_NE))
    return functional.smooth_l1_loss(student_NNN, teacher_NNN)


def _both(student_ND: Tensor, teacher_NE: Tensor) -> tuple[Tensor, Tensor]:
    """Centred: differences of the inner products of features that lie far off lose what images differ by."""
    student, teacher = widened(student_ND), widened(teacher_NE).detach()
    return student - student.mean(dim=0), teacher - teacher.mean(dim=0)


def _distances(features_ND: Tensor) -> Tensor:
    """Euclidean distances (N, N), 0 on the diagonal."""
    inner_NN = product(features_ND, features_ND.T)
    squares_N = inner_NN.diagonal()
    squared_NN = (squares_N[:, None] + squares_N[None, :] - 2 * inner_NN).clamp(min=EPSILON)
    return squared_NN.sqrt() * (1 - torch.eye(len(inner_NN), dtype=inner_NN.dtype, device=inner_NN.device))


def _relative(distances_NN: Tensor) -> Tensor:
    n = len(distances_NN)
    return distances_NN / (distances_NN.sum() / max(n * (n - 1), 1)).clamp(min=EPSILON)


def _cosines(features_ND: Tensor) -> Tensor:
    """Entry (j, i, k): the cosine of the angle at image j between images i and k; 0 where one of them is j."""
    inner_NN = product(features_ND, features_ND.T)
    at_j = inner_NN.diagonal()[:, None, None] - inner_NN[:, :, None] - inner_NN[:, None, :] + inner_NN[None]
    lengths_NN = _distances(features_ND)
    directions_NN = torch.where(lengths_NN > EPSILON**0.5, 1 / lengths_NN.clamp(min=EPSILON**0.5), 0.0)
    return at_j * directions_NN[:, :, None] * directions_NN[:, None, :]
