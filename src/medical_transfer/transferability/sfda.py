"""SFDA: a regularised Fisher discriminant that is fitted, made harder by its own confidence, and fitted again.

Shao et al. 2022 (Not all models are equal: predicting model transferability in a self-challenging Fisher space).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.linalg import qr, svd
from scipy.spatial.distance import cdist
from scipy.special import logsumexp, softmax

from medical_transfer.transferability.evidence import Evidence, Floats, Integers, Undefined

STEEPNESS = 5.0
"""a of the shrinkage exp(-a sigma), as in the authors' code."""
MIN_SHRINKAGE = 1e-10


def sfda(evidence: Evidence) -> float:
    """Mean log probability of the true class under the second discriminant; at most 0, higher is better.

    Reg-FDA: S_W is the mean within-class covariance, shrunk to (1 - s) S_W + s tr(S_W)/D I with
    s = exp(-a sigma(S_W)) and sigma the largest eigenvalue. With all D Fisher directions U of unit shrunk variance
    U U' is the inverse of the shrunk S_W, so the class scores x' U U' m_c - m_c' U U' m_c / 2 + log q_c of the paper
    are those of linear discriminant analysis. ConfMix (`confmix`) then draws images towards the other classes, the
    more the less sure they are; the discriminant is fitted to those with the same s and judged on them.

    It judges on what it was fitted to, and s is next to nothing where sigma is large, as of features that are not
    normalised: the closer the number of images to that of features, the closer to 0 are all sources.

    Departures: the logarithm of the paper's definition (the authors' code averages probabilities), and the exact sigma
    (three power iterations there). As their code, not their text: a = 5, s of at least 1e-10, the identity scaled by
    the mean variance, the mean over images in S_W, and the softened confidence of ConfMix.

    Raises:
        Undefined: the features are the same for all images; or all probabilities are 1 with so many features that any
            labels of these images could be fitted so.
    """
    if not np.ptp(evidence.features_ND, axis=0).any():
        raise Undefined(f"{evidence.source} gives the same features for all images")
    labels_N, width = evidence.labels_N, evidence.features_ND.shape[1]
    rows_NR = _in_their_span(evidence.features_ND)
    scatter = _scatter(rows_NR, labels_N)
    shrinkage = max(float(np.exp(-STEEPNESS * scatter.variance_R.max())), MIN_SHRINKAGE)
    posteriors_NC = softmax(_class_scores(rows_NR, scatter, shrinkage, width), axis=1)
    mixed_NR = confmix(rows_NR, labels_N, posteriors_NC)
    judged_NC = _class_scores(mixed_NR, _scatter(mixed_NR, labels_N), shrinkage, width)
    score = float(_true_log_probability(judged_NC, labels_N).mean())
    if score == 0 and _fits_any_labels(rows_NR):
        raise Undefined(f"{len(rows_NR)} images of {width} features and hardly any shrinkage: any labels fit perfectly")
    return score


def confmix(rows_NR: Floats, labels_N: Integers, posteriors_NC: Floats) -> Floats:
    """Each row mixed with the mean of the other classes' means: p x + (1 - p) m, p the confidence in its true class.

    p is the softmax of the probabilities, as in the authors' code: of two classes it is between .27 and .73, so that
    rows that are decided surely and rightly are drawn too.
    """
    confidence_N1 = np.take_along_axis(softmax(posteriors_NC, axis=1), labels_N[:, None], axis=1)
    means_CR = _class_means(rows_NR, labels_N)
    others_CR = (means_CR.sum(axis=0) - means_CR) / (len(means_CR) - 1)
    mixed_NR: Floats = confidence_N1 * rows_NR + (1 - confidence_N1) * others_CR[labels_N]
    return mixed_NR


@dataclass(frozen=True)
class _Scatter:
    """Class means and shares, and the within-class covariance as variances along axes; the variance of all rows."""

    means_CR: Floats
    shares_C: Floats
    variance_R: Floats
    axes_RR: Floats
    total: float


def _scatter(rows_NR: Floats, labels_N: Integers) -> _Scatter:
    means_CR = _class_means(rows_NR, labels_N)
    # Singular values of the rows, not eigenvalues of their covariance: small variances keep their digits.
    _, singular_R, axes_RR = svd(rows_NR - means_CR[labels_N], full_matrices=False)
    shares_C = np.bincount(labels_N) / len(labels_N)
    return _Scatter(means_CR, shares_C, singular_R**2 / len(labels_N), axes_RR, float(rows_NR.var(axis=0).sum()))


def _class_scores(rows_NR: Floats, scatter: _Scatter, shrinkage: float, width: int) -> Floats:
    """Logits (N, C): log share less half the squared distance to the mean, where the shrunk variance is 1."""
    shrunk_R = (1 - shrinkage) * scatter.variance_R + shrinkage * scatter.variance_R.sum() / width
    # Classes without any inner variance are told apart perfectly: a limit, not a division by zero.
    whitening_R = 1 / np.sqrt(np.maximum(shrunk_R, np.finfo(np.float64).eps * scatter.total))
    whitened_NR, means_CR = ((each @ scatter.axes_RR.T) * whitening_R for each in (rows_NR, scatter.means_CR))
    scores_NC: Floats = np.log(scatter.shares_C) - cdist(whitened_NR, means_CR, "sqeuclidean") / 2
    return scores_NC


def _true_log_probability(scores_NC: Floats, labels_N: Integers) -> Floats:
    """Log softmax of the true class (N,), which keeps the digits of what is next to 0."""
    gaps_NC = scores_NC - np.take_along_axis(scores_NC, labels_N[:, None], axis=1)
    gaps_NC[np.arange(len(labels_N)), labels_N] = -np.inf
    log_probability_N: Floats = 0.0 - np.logaddexp(0.0, logsumexp(gaps_NC, axis=1))
    return log_probability_N


def _fits_any_labels(rows_NR: Floats) -> bool:
    """Whether the rows are affinely independent, so that a plane parts them however they are labelled."""
    return rows_NR.shape[1] >= len(rows_NR) - 1 and int(np.linalg.matrix_rank(rows_NR)) == len(rows_NR) - 1


def _in_their_span(features_ND: Floats) -> Floats:
    """Coordinates of the centred rows in a basis of what they span: of width N where there are more features."""
    centred_ND = features_ND - features_ND.mean(axis=0)
    images, width = centred_ND.shape
    rows_NR: Floats = centred_ND if width <= images else qr(centred_ND.T, mode="r")[0][:images].T
    return rows_NR


def _class_means(rows_NR: Floats, labels_N: Integers) -> Floats:
    members_CN = (np.arange(labels_N.max() + 1)[:, None] == labels_N).astype(np.float64)
    means_CR: Floats = members_CN @ rows_NR / members_CN.sum(axis=1, keepdims=True)
    return means_CR
