"""What a decision is worth where the disease is rarer, or more frequent, than among the test images.

Sensitivity and specificity are taken to be the same there, which holds only if patients differ in nothing else: a
screening population has earlier disease and other look-alikes than a referral centre.

Shapes: B resamples, N images.
Source: Bayes' theorem; Altman and Bland (1994).
"""

from __future__ import annotations

from medical_transfer.metrics.classification import Codes, Floats, ratio, sensitivity, specificity


def ppv_at(labels_N: Codes, decided_NC: Floats, weights_BN: Floats, *, prevalence: float) -> Floats:
    """Share of positive decisions that would be right at this prevalence; NaN where none is positive."""
    right_B = sensitivity(labels_N, decided_NC, weights_BN) * prevalence
    wrong_B = (1 - specificity(labels_N, decided_NC, weights_BN)) * (1 - prevalence)
    return ratio(right_B, right_B + wrong_B)


def npv_at(labels_N: Codes, decided_NC: Floats, weights_BN: Floats, *, prevalence: float) -> Floats:
    """Share of negative decisions that would be right at this prevalence; NaN where none is negative."""
    right_B = specificity(labels_N, decided_NC, weights_BN) * (1 - prevalence)
    wrong_B = (1 - sensitivity(labels_N, decided_NC, weights_BN)) * prevalence
    return ratio(right_B, right_B + wrong_B)
