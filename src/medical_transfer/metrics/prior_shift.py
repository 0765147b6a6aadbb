"""The shares of classes in a batch without labels, if nothing but these shares has changed.

Both estimates hold where images of a class look alike in both places (label shift). Where a scanner or a protocol
changed too they are wrong, and they tend to disagree.

Shapes: n new images, M validation images, C classes.
"""

from __future__ import annotations

import numpy as np

from medical_transfer.metrics.classification import Codes, Floats, one_hot

STEPS = 1000
SETTLED = 1e-9


def by_maximum_likelihood(probabilities_nC: Floats, prior_C: Floats) -> Floats:
    """Shares (C,) under which the calibrated probabilities of the new images are most likely, by EM.

    Source: Saerens et al. (2002), Adjusting the outputs of a classifier to new a priori probabilities, eq. 2.9.

    Args:
        probabilities_nC: of new images, calibrated for `prior_C`.
        prior_C: shares of the classes where the model was calibrated.
    """
    odds_nC = probabilities_nC / np.maximum(prior_C, np.finfo(np.float64).tiny)
    shares_C = prior_C.copy()
    for _ in range(STEPS):
        weighted_nC = odds_nC * shares_C
        found_C = (weighted_nC / weighted_nC.sum(axis=1, keepdims=True)).mean(axis=0)
        settled = np.abs(found_C - shares_C).max() < SETTLED
        shares_C = found_C
        if settled:
            break
    return shares_C


def by_confusion(called_n: Codes, val_called_M: Codes, val_labels_M: Codes, classes: int) -> Floats | None:
    """Shares (C,) that explain how often each class is called, given how the model confuses classes on validation.

    Negative ones become 0. Source: Lipton et al. (2018), Detecting and correcting for label shift with black box
    predictors, eq. 2. None where a class is missing from validation or the model does not tell the classes apart.
    """
    truth_MC, called_MC = one_hot(val_labels_M, classes), one_hot(val_called_M, classes)
    if not truth_MC.any(axis=0).all():
        return None
    rates_CC = called_MC.T @ truth_MC / truth_MC.sum(axis=0)  # of each true class (column) the share called each class
    if np.linalg.cond(rates_CC) > 1 / np.sqrt(np.finfo(np.float64).eps):
        return None
    found_C = np.linalg.solve(rates_CC, one_hot(called_n, classes).mean(axis=0))
    kept_C = np.maximum(found_C, 0)
    return np.asarray(kept_C / kept_C.sum())
