"""Learning from the network's own confident answers on unlabelled images.

FixMatch: Sohn et al. 2020, "FixMatch: Simplifying Semi-Supervised Learning with Consistency and Confidence", eq. 4.
AdaMatch: Berthelot et al. 2022, "AdaMatch: A Unified Approach to Semi-Supervised Learning and Domain Adaptation", its
sections on distribution alignment, relative confidence threshold and loss function.

The weakly augmented view gives the target and never a gradient; the strongly augmented view of the same image learns.
Shapes: N images, C classes.
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional

from medical_transfer.losses.paired import widened

FIXMATCH_THRESHOLD = 0.95
ADAMATCH_SHARE = 0.9


def fixmatch(weak_logits_NC: Tensor, strong_logits_NC: Tensor, *, threshold: float = FIXMATCH_THRESHOLD) -> Tensor:
    """Eq. 4: (1/N) sum of 1(max q >= threshold) H(argmax q, p), q of the weak view, p of the strong one.

    Divided by all N, not by the confident ones: few confident images weigh little.
    """
    weak_NC = widened(weak_logits_NC).detach().softmax(dim=1)
    loss_N = functional.cross_entropy(widened(strong_logits_NC), weak_NC.argmax(dim=1), reduction="none")
    return (loss_N * confident(weak_NC, threshold)).mean()


def aligned_probabilities(target_NC: Tensor, *, source_mean_C: Tensor, target_mean_C: Tensor) -> Tensor:
    """AdaMatch's distribution alignment: target predictions times source mean / target mean, rows summing to 1 again.

    Args:
        target_NC: probabilities of the weak views of target images.
        source_mean_C: mean probabilities of source images (a running mean where batches are small).
        target_mean_C: mean probabilities of target images, likewise.

    It makes the target's class shares those of the source: wrong where prevalence differs between sites. A class that
    is never predicted on the target keeps a floor of the smallest number, so nothing is divided by 0.
    """
    ratio_C = widened(source_mean_C) / widened(target_mean_C).clamp_min(torch.finfo(torch.float32).tiny)
    return functional.normalize(widened(target_NC) * ratio_C, p=1, dim=1)


def relative_threshold(source_NC: Tensor, *, share: float = ADAMATCH_SHARE) -> Tensor:
    """AdaMatch's threshold: `share` times the mean confidence (largest probability) on weak views of source images.

    Scalar, detached. A network that is unsure at home is not asked for certainty abroad.
    """
    return share * widened(source_NC).detach().max(dim=1).values.mean()


def confident(probabilities_NC: Tensor, threshold: float | Tensor) -> Tensor:
    """Which images (N,) have a class at or above the threshold."""
    return probabilities_NC.max(dim=1).values >= threshold


def adamatch(targets_NC: Tensor, strong_logits_NC: Tensor, confident_N: Tensor) -> Tensor:
    """AdaMatch's target loss: (1/N) sum over confident images of H(target, softmax of the strong view).

    Args:
        targets_NC: aligned probabilities of weak views, soft; no gradient goes through them.
        strong_logits_NC: logits of the strong views.
        confident_N: `confident` of the aligned probabilities at `relative_threshold`.
    """
    loss_N = functional.cross_entropy(widened(strong_logits_NC), widened(targets_NC).detach(), reduction="none")
    return (loss_N * confident_N).mean()
