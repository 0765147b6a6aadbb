"""Recalibration of a frozen model by its intercept alone: what one can learn from few local labels without overfitting.

The probabilities of each class are multiplied by a constant and normalised; with two classes log(p / (1 - p)) gets an
intercept and keeps its slope, so the order of images, and with it the AUROC, stays. It mends what another prevalence or
a shifted scanner does to all images alike.

Shapes: N images, C classes.
"""

from __future__ import annotations

import numpy as np

from medical_transfer.metrics.calibration import LOWEST_LOGIT
from medical_transfer.metrics.classification import Codes, Floats, one_hot

STEPS = 100
FOLDS = 5


def fit_intercepts(probabilities_NC: Floats, labels_N: Codes) -> Floats | None:
    """Intercepts (C,), 0 for the first class, by maximum likelihood; None where a class has no image.

    At the optimum the mean probability of each class is its share among the labels. Source: Steyerberg (2009), Clinical
    Prediction Models, section 15.3 (recalibration in the large); by damped Newton steps, the likelihood is concave.
    """
    truth_NC = one_hot(labels_N, probabilities_NC.shape[1])
    if not truth_NC.any(axis=0).all():
        return None
    intercepts_C = np.zeros(probabilities_NC.shape[1])
    for _ in range(STEPS):
        p_NC = with_intercepts(probabilities_NC, intercepts_C)
        gradient_c = (truth_NC - p_NC).sum(axis=0)[1:]
        if np.abs(gradient_c).max() < 1e-10 * len(labels_N):
            break
        curvature_cc = np.diag(p_NC.sum(axis=0)[1:]) - p_NC[:, 1:].T @ p_NC[:, 1:]
        step_c = np.linalg.lstsq(curvature_cc, gradient_c, rcond=None)[0]
        intercepts_C[1:] += step_c * min(1.0, 2.0 / max(float(np.abs(step_c).max()), 1e-12))
    return intercepts_C


def with_intercepts(probabilities_NC: Floats, intercepts_C: Floats) -> Floats:
    """Probabilities with the intercepts added to their logarithms."""
    with np.errstate(divide="ignore"):
        logits_NC = np.maximum(np.log(probabilities_NC), LOWEST_LOGIT) + intercepts_C
    odds_NC = np.exp(logits_NC - logits_NC.max(axis=1, keepdims=True))
    return np.asarray(odds_NC / odds_NC.sum(axis=1, keepdims=True))


def recalibrated_elsewhere(
    probabilities_NC: Floats, labels_N: Codes, groups_N: Codes, rng: np.random.Generator
) -> Floats | None:
    """Each image under intercepts that were fitted without its group (5 folds): honest numbers for what they bring.

    None where there are fewer groups than folds, or a class lies in too few groups.
    """
    groups = np.unique(groups_N)
    if groups.size < FOLDS:
        return None
    fold_of = dict(zip(rng.permutation(groups).tolist(), np.arange(groups.size) % FOLDS, strict=True))
    fold_N = np.array([fold_of[group] for group in groups_N.tolist()])
    changed_NC = np.empty_like(probabilities_NC)
    for fold in range(FOLDS):
        here_N = fold_N == fold
        intercepts_C = fit_intercepts(probabilities_NC[~here_N], labels_N[~here_N])
        if intercepts_C is None:
            return None
        changed_NC[here_N] = with_intercepts(probabilities_NC[here_N], intercepts_C)
    return changed_NC
