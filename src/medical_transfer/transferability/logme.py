"""LogME: the evidence of a Bayesian linear model that predicts the classes from the features.

You et al. 2021 (LogME: practical assessment of pre-trained models for transfer learning, algorithm 1).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.linalg import svd

from medical_transfer.transferability.evidence import Evidence, Floats

MAX_PRECISION = 1e6
"""Largest precision of the noise: labels 0 and 1 are never known to better than a thousandth. Without a bound the
evidence grows without end where the features fit the labels exactly with fewer dimensions than images."""
RATIO_RANGE = (1e-12, 1e12)
"""Range of alpha/beta in units of the largest squared singular value: the ends mean 'no prior' and 'no features'."""
MAX_STEPS = 200


def logme(evidence: Evidence) -> float:
    """Largest log evidence per image of each class against the rest, averaged over classes; higher is better.

    Model: y = F w + noise with w ~ N(0, 1/alpha) and noise ~ N(0, 1/beta), features as they are (not centred, no
    intercept), one 0/1 column y per class. For each class the evidence is maximised over alpha and beta by the paper's
    fixed point on the singular values of F.

    Departures: the fixed point starts at the best point of a coarse grid of alpha/beta, since the evidence can have
    several maxima; alpha enters only through alpha/beta, so that useless features (alpha without bound) are a plain
    limit; the noise is bounded by `MAX_PRECISION` where the paper's code adds 1e-5 to the misfit.
    """
    left_NR, singular_R, _ = svd(evidence.features_ND, full_matrices=False)
    targets_NC = np.eye(evidence.classes)[evidence.labels_N]
    energy_RC = (left_NR.T @ targets_NC) ** 2
    outside_C = np.maximum((targets_NC**2).sum(axis=0) - energy_RC.sum(axis=0), 0.0)
    largest = singular_R[0] if singular_R[0] > 0 else 1.0
    problem = _Problem((singular_R[:, None] / largest) ** 2, energy_RC, outside_C, len(targets_NC))
    return float(_best_evidence(problem).mean() / len(targets_NC))


@dataclass(frozen=True)
class _Problem:
    """All classes in the left singular vectors: squared singular values, squared projections, the rest of |y|^2."""

    squares_R1: Floats
    energy_RC: Floats
    outside_C: Floats
    images: int


def _best_evidence(problem: _Problem) -> Floats:
    """Log evidence of each class at the best alpha/beta."""
    grid = np.geomspace(*RATIO_RANGE, num=49)
    classes = problem.outside_C.shape
    evidence_GC = np.stack([_log_evidence(problem, np.full(classes, ratio)) for ratio in grid])
    ratio_C = grid[evidence_GC.argmax(axis=0)]
    for _ in range(MAX_STEPS):
        previous_C, ratio_C = ratio_C, _fixed_point(problem, ratio_C)
        if np.abs(np.log(ratio_C / previous_C)).max() < 1e-6:
            break
    best_C: Floats = np.maximum(evidence_GC.max(axis=0), _log_evidence(problem, ratio_C))
    return best_C


def _log_evidence(problem: _Problem, ratio_C: Floats) -> Floats:
    """Log evidence at alpha/beta, with the beta that is best there.

    log p(y) = N/2 log(beta / 2 pi) - 1/2 sum log(1 + s^2 beta/alpha) - beta/2 q, where
    q = y' (I + F F' beta/alpha)^-1 y, and beta = N / q unless that exceeds the bound.
    """
    unexplained_RC = ratio_C / (ratio_C + problem.squares_R1)
    q_C = (unexplained_RC * problem.energy_RC).sum(axis=0) + problem.outside_C
    beta_C = problem.images / np.maximum(q_C, problem.images / MAX_PRECISION)
    spread_C = np.log1p(problem.squares_R1 / ratio_C).sum(axis=0)
    log_evidence_C: Floats = (problem.images * np.log(beta_C / (2 * np.pi)) - spread_C - beta_C * q_C) / 2
    return log_evidence_C


def _fixed_point(problem: _Problem, ratio_C: Floats) -> Floats:
    """One step of algorithm 1: alpha = gamma / m'm and beta = (N - gamma) / |F m - y|^2, returned as alpha/beta."""
    explained_RC = problem.squares_R1 / (ratio_C + problem.squares_R1)
    unexplained_RC = ratio_C / (ratio_C + problem.squares_R1)
    gamma_C = explained_RC.sum(axis=0)
    weights_C = (explained_RC / (ratio_C + problem.squares_R1) * problem.energy_RC).sum(axis=0)
    misfit_C = (unexplained_RC**2 * problem.energy_RC).sum(axis=0) + problem.outside_C
    # N - gamma as a sum of positive terms: the difference itself loses its digits where gamma is close to N.
    free_C = problem.images - len(problem.squares_R1) + unexplained_RC.sum(axis=0)
    noise_C = np.maximum(misfit_C / free_C, 1 / MAX_PRECISION)
    no_features_C = np.full_like(ratio_C, RATIO_RANGE[1])
    next_C = np.divide(gamma_C * noise_C, weights_C, out=no_features_C, where=weights_C > 0)
    clipped_C: Floats = np.clip(next_C, *RATIO_RANGE)
    return clipped_C
