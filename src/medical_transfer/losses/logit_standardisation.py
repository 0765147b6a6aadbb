"""Standardised logits: a student need not imitate how large the teacher's logits are, only their order and spacing.

Source: Sun et al. 2024, "Logit Standardization in Knowledge Distillation", algorithm 1; the deviation of K - 1 and the
smallest one as in their code.
Shapes: N images, C classes.
"""

from __future__ import annotations

from torch import Tensor

from medical_transfer.losses.paired import widened
from medical_transfer.types import UserError

EPSILON = 1e-7


def standardised(logits_NC: Tensor) -> Tensor:
    """Logits of each image with mean 0 and standard deviation 1 over its classes; equal ones become 0.

    Raises:
        UserError: as `check_classes`.
    """
    check_classes(logits_NC.shape[1])
    wide_NC = widened(logits_NC)
    centred_NC = wide_NC - wide_NC.mean(dim=1, keepdim=True)
    variance_N1 = centred_NC.square().sum(dim=1, keepdim=True) / (wide_NC.shape[1] - 1)
    return centred_NC / (variance_N1 + EPSILON**2).sqrt()


def check_classes(classes: int) -> None:
    """Refuse two classes, whose standardised logits are always the same two numbers in one order or the other.

    Raises:
        UserError: says what to set.
    """
    if classes < 3:
        raise UserError(
            f"training.distill.standardised leaves of {classes} logits only which one is larger, so nothing of the "
            "teacher's doubt is told: set it to false."
        )
