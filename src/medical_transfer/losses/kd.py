"""Knowledge distillation: the student's softened probabilities follow the teacher's.

Sources: Hinton, Vinyals & Dean 2015, "Distilling the Knowledge in a Neural Network", section 2; the chapter, 4.2.
Shapes: N images, C classes.
"""

from __future__ import annotations

from torch import Tensor
from torch.nn import functional

from medical_transfer.losses.paired import widened

TEMPERATURE = 3.0
SOFT_WEIGHT = 0.7


def soft_divergence(
    student_logits_NC: Tensor, teacher_logits_NC: Tensor, *, temperature: float = TEMPERATURE
) -> Tensor:
    """T^2 KL(teacher || student) of probabilities at temperature T, mean over images.

    The factor T^2 undoes what the temperature takes from the gradient (Hinton et al., below eq. 4), so that the weight
    beside the labels means the same at any T. No gradient reaches the teacher.
    """
    teacher_log_NC = (widened(teacher_logits_NC).detach() / temperature).log_softmax(dim=1)
    student_log_NC = (widened(student_logits_NC) / temperature).log_softmax(dim=1)
    divergence = functional.kl_div(student_log_NC, teacher_log_NC, reduction="batchmean", log_target=True)
    return temperature**2 * divergence


def weighed(soft: Tensor, hard: Tensor, *, soft_weight: float = SOFT_WEIGHT) -> Tensor:
    """The chapter's sum, w soft + (1 - w) hard with w its alpha; at 0 exactly the loss of labels."""
    if soft_weight == 0:
        return hard
    return soft_weight * soft + (1 - soft_weight) * hard
