"""DEV: the risk on source images, reweighted so that they stand for the target.

Source: You et al. 2019, "Towards Accurate Model Selection in Deep Unsupervised Domain Adaptation", algorithm 1. It
rests on covariate shift (an image of given features means the same in both domains) and on overlap of the two.
Shapes: N source validation, M source training, K target images, D features.
"""

from __future__ import annotations

import numpy as np

from medical_transfer.metrics.classification import Floats

LOGIT_VARIANCE = 10.0
"""Prior variance of a logit: C times D of the logistic regression on standardised features."""

LARGEST_LOGIT = 30.0
"""Beyond it a ratio (of 1e13) says only that the domains do not overlap, and larger ones would be infinite."""


def deep_embedded_validation(
    losses_N: Floats, features_ND: Floats, *, source_features_MD: Floats, target_features_KD: Floats
) -> float:
    """Minus the DEV risk of the adapted network, higher is better: `dev_risk` under `density_ratio`.

    Args:
        losses_N: loss of each labelled validation image of the source, 0/1 or cross-entropy.
        features_ND: features of the same images under the adapted network.
        source_features_MD: features of source training images, to learn the ratio on.
        target_features_KD: features of target training images.
    """
    weights_N = density_ratio(features_ND, source_features_MD=source_features_MD, target_features_KD=target_features_KD)
    return -dev_risk(losses_N, weights_N)


def density_ratio(features_ND: Floats, *, source_features_MD: Floats, target_features_KD: Floats) -> Floats:
    """How many times more frequent each image (N,) is on the target: w(x) = (M / K) P(target | x) / P(source | x).

    From a fresh logistic regression between the domains (L2, C = 10 / D, on features standardised by both together).
    Departure: the paper trains a small network; a linear one on features is convex and needs no seed.
    """
    from sklearn.linear_model import LogisticRegression  # noqa: PLC0415 - only who asks for DEV should pay
    from sklearn.pipeline import make_pipeline  # noqa: PLC0415
    from sklearn.preprocessing import StandardScaler  # noqa: PLC0415

    sources, targets = len(source_features_MD), len(target_features_KD)
    regression = LogisticRegression(C=LOGIT_VARIANCE / features_ND.shape[1], tol=1e-6, max_iter=5000)
    classifier = make_pipeline(StandardScaler(), regression)
    classifier.fit(np.concatenate([source_features_MD, target_features_KD]), np.repeat([0, 1], [sources, targets]))
    logits_N = np.clip(classifier.decision_function(features_ND), -LARGEST_LOGIT, LARGEST_LOGIT)
    return np.asarray(np.exp(logits_N) * sources / targets)


def dev_risk(losses_N: Floats, weights_N: Floats) -> float:
    """Importance-weighted mean loss with the control variate: mean(w l) + eta mean(w) - eta.

    eta = -Cov(w l, w) / Var(w). The true mean of w is 1, so how far its mean is off tells what the draw did to w l as
    well. Weights that are all equal leave nothing to correct by (eta = 0).
    """
    weighted_N = weights_N * losses_N
    gap_N = weights_N - weights_N.mean()
    variance = float(gap_N @ gap_N)
    eta = -float((weighted_N - weighted_N.mean()) @ gap_N) / variance if variance > 0 else 0.0
    return float(weighted_N.mean() + eta * weights_N.mean() - eta)
