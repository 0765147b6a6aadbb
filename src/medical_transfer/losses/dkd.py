"""Decoupled distillation: how sure the teacher is of the true class, and how it ranks the others, each by itself.

Source: Zhao et al. 2022, "Decoupled Knowledge Distillation", eq. 5 to 7; the factor T^2 as in their code.
Shapes: N images, C classes.
"""

from __future__ import annotations

import torch
from torch import Tensor

from medical_transfer.losses.paired import widened
from medical_transfer.types import UserError

TARGET_WEIGHT, OTHERS_WEIGHT = 1.0, 8.0


def decoupled_divergence(
    student_logits_NC: Tensor,
    teacher_logits_NC: Tensor,
    labels_N: Tensor,
    *,
    temperature: float = 1.0,
    target_weight: float = TARGET_WEIGHT,
    others_weight: float = OTHERS_WEIGHT,
) -> Tensor:
    """T^2 (alpha TCKD + beta NCKD), mean over images.

    TCKD is the divergence of (p_y, 1 - p_y), y the true class; NCKD that of the other classes among themselves. Plain
    distillation is TCKD + (1 - p_y of the teacher) NCKD for each image (eq. 6), so that a sure teacher silences NCKD.

    Raises:
        UserError: as `check_classes`.
    """
    check_classes(student_logits_NC.shape[1])
    logits = (widened(student_logits_NC) / temperature, widened(teacher_logits_NC).detach() / temperature)
    (student_N2, student_NO), (teacher_N2, teacher_NO) = (_decoupled(each, labels_N) for each in logits)
    target_N = _divergence(student_N2, teacher_N2)
    others_N = _divergence(student_NO, teacher_NO)
    return temperature**2 * (target_weight * target_N + others_weight * others_N).mean()


def check_classes(classes: int) -> None:
    """Refuse two classes: beside the true one there is one other, whose share among the others is always 1.

    Raises:
        UserError: says what to take.
    """
    if classes < 3:
        raise UserError(
            f"training.distill.loss=dkd ranks the classes beside the true one, but of {classes} classes there is one "
            "such: what is left of it is plain distillation. Set training.distill.loss=kd."
        )


def _decoupled(logits_NC: Tensor, labels_N: Tensor) -> tuple[Tensor, Tensor]:
    """Log-probabilities of the true class and of all others together (N, 2), and of the others alone (N, C - 1)."""
    n, classes = logits_NC.shape
    is_true_NC = torch.nn.functional.one_hot(labels_N, classes).bool()
    others_NO = logits_NC[~is_true_NC].view(n, classes - 1)
    true_N = logits_NC[is_true_NC]
    both_N2 = torch.stack([true_N, others_NO.logsumexp(dim=1)], dim=1)
    return both_N2.log_softmax(dim=1), others_NO.log_softmax(dim=1)


def _divergence(student_log_NK: Tensor, teacher_log_NK: Tensor) -> Tensor:
    return (teacher_log_NK.exp() * (teacher_log_NK - student_log_NK)).sum(dim=1)
