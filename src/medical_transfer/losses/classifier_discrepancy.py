"""How far two classifiers disagree on the same images: large where the target lies outside what the source taught.

Source: Saito et al. 2018, "Maximum Classifier Discrepancy for Unsupervised Domain Adaptation", section 3 (discrepancy
loss): the L1 distance of two softmaxes divided by the number of classes. The heads ascend it on target images, the
trunk descends it; who does what is the method's concern.
"""

from __future__ import annotations

from torch import Tensor

from medical_transfer.losses.paired import widened


def classifier_discrepancy(logits_NC: Tensor, other_logits_NC: Tensor) -> Tensor:
    """Scalar mean over images and classes of |p - q|, from 0 (alike) to 2/C (certain of different classes)."""
    gap_NC = widened(logits_NC).softmax(dim=1) - widened(other_logits_NC).softmax(dim=1)
    return gap_NC.abs().mean()
