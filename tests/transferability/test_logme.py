"""LogME against the log marginal likelihood written out with N x N matrices and maximised by scipy."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import minimize

from medical_transfer.transferability.evidence import Evidence
from medical_transfer.transferability.logme import MAX_PRECISION, _fixed_point, _log_evidence, _Problem, logme


def evidence_of(features_ND, labels_N):
    return Evidence(features_ND=features_ND, labels_N=labels_N, groups_N=np.arange(len(labels_N)))


def direct_log_evidence(features_ND, target_N, alpha, beta):
    """log N(y; 0, I / beta + F F' / alpha): the definition of the evidence."""
    covariance_NN = np.eye(len(target_N)) / beta + features_ND @ features_ND.T / alpha
    log_volume = np.linalg.slogdet(2 * np.pi * covariance_NN)[1]
    return -0.5 * (log_volume + target_N @ np.linalg.solve(covariance_NN, target_N))


def papers_log_evidence(features_ND, target_N, alpha, beta):
    """The paper's form with the posterior mean m and A = alpha I + beta F'F."""
    images, width = features_ND.shape
    a_DD = alpha * np.eye(width) + beta * features_ND.T @ features_ND
    m_D = beta * np.linalg.solve(a_DD, features_ND.T @ target_N)
    misfit = ((features_ND @ m_D - target_N) ** 2).sum()
    fit = images * np.log(beta) + width * np.log(alpha) - images * np.log(2 * np.pi)
    return 0.5 * (fit - beta * misfit - alpha * m_D @ m_D - np.linalg.slogdet(a_DD)[1])


def best_by_scipy(features_ND, labels_N):
    """Maximise the definition over log alpha and log beta from several starts, each class against the rest."""
    bounds = [(np.log(1e-5), np.log(1e8)), (np.log(1e-4), np.log(MAX_PRECISION))]
    total = 0.0
    for label in np.unique(labels_N):
        target_N = (labels_N == label).astype(float)

        def loss(logs, target_N=target_N):
            return -direct_log_evidence(features_ND, target_N, *np.exp(logs))

        starts = [(a, b) for a in (-4.0, 0.0, 4.0, 8.0) for b in (0.0, 3.0)]
        total += max(-minimize(loss, start, bounds=bounds, method="L-BFGS-B").fun for start in starts)
    return total / len(np.unique(labels_N)) / len(labels_N)


@pytest.mark.parametrize("seed", [0, 1, 2])
@pytest.mark.parametrize(("images", "width", "classes"), [(25, 4, 2), (25, 4, 3), (15, 15, 2), (12, 30, 3)])
def test_equals_the_evidence_maximised_by_scipy(images, width, classes, seed):
    rng = np.random.default_rng(seed)
    labels_N = np.arange(images) % classes
    features_ND = rng.normal(size=(images, width)) + 0.7 * rng.normal(size=(classes, width))[labels_N]
    expected = best_by_scipy(features_ND, labels_N)
    assert logme(evidence_of(features_ND, labels_N)) == pytest.approx(expected, abs=2e-5)


@pytest.mark.parametrize(("images", "width"), [(20, 4), (8, 20)])
def test_definition_and_papers_form_and_spectral_form_agree(images, width):
    rng = np.random.default_rng(2)
    features_ND, target_N = rng.normal(size=(images, width)), (np.arange(images) % 2).astype(float)
    left_NR, singular_R, _ = np.linalg.svd(features_ND, full_matrices=False)
    energy_R1 = (left_NR.T @ target_N)[:, None] ** 2
    outside_1 = target_N @ target_N - energy_R1.sum(axis=0)
    problem = _Problem(singular_R[:, None] ** 2, energy_R1, outside_1, images)
    for ratio in (0.1, 1.0, 30.0):
        gram_NN = np.eye(images) + features_ND @ features_ND.T / ratio
        beta = images / (target_N @ np.linalg.solve(gram_NN, target_N))
        direct = direct_log_evidence(features_ND, target_N, ratio * beta, beta)
        assert papers_log_evidence(features_ND, target_N, ratio * beta, beta) == pytest.approx(direct)
        assert _log_evidence(problem, np.array([ratio]))[0] == pytest.approx(direct)


def test_fixed_point_step_equals_the_papers_algorithm():
    rng = np.random.default_rng(3)
    features_ND, target_N = rng.normal(size=(20, 4)), (np.arange(20) % 2).astype(float)
    left_NR, singular_R, _ = np.linalg.svd(features_ND, full_matrices=False)
    energy_R1 = (left_NR.T @ target_N)[:, None] ** 2
    problem = _Problem(singular_R[:, None] ** 2, energy_R1, target_N @ target_N - energy_R1.sum(axis=0), 20)
    alpha, beta = 2.0, 5.0
    a_DD = alpha * np.eye(4) + beta * features_ND.T @ features_ND
    m_D = beta * np.linalg.solve(a_DD, features_ND.T @ target_N)
    gamma = np.trace(beta * features_ND.T @ features_ND @ np.linalg.inv(a_DD))
    next_alpha = gamma / (m_D @ m_D)
    next_beta = (20 - gamma) / ((features_ND @ m_D - target_N) ** 2).sum()
    assert _fixed_point(problem, np.array([alpha / beta]))[0] == pytest.approx(next_alpha / next_beta)


def test_useless_features_leave_the_noise_alone():
    """All-zero features: y ~ N(0, 1/beta) with beta = N / |y|^2, so log p = -N/2 (log(2 pi |y|^2 / N) + 1)."""
    labels_N = np.array([0, 0, 0, 1, 1, 1, 1, 1])
    expected = np.mean([-0.5 * (np.log(2 * np.pi * share) + 1) for share in (3 / 8, 5 / 8)])
    assert logme(evidence_of(np.zeros((8, 3)), labels_N)) == pytest.approx(expected, abs=1e-9)


def test_a_perfect_fit_is_bounded_by_the_noise():
    """Features that are the labels: without the bound the evidence would be infinite; with it there is a closed form.

    F F' has two eigenvalues 20; y lies along one of their vectors with |y|^2 = 20. With v = 1/beta + 20/alpha,
    log p = 19 log beta - 20 log 2 pi - log v - 10/v, largest at v = 10 and the largest beta.
    """
    labels_N = np.arange(40) % 2
    expected = (19 * np.log(MAX_PRECISION) - 20 * np.log(2 * np.pi) - np.log(10) - 1) / 40
    assert logme(evidence_of(np.eye(2)[labels_N], labels_N)) == pytest.approx(expected, abs=1e-9)


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 2**32 - 1), st.integers(3, 30), st.integers(1, 40), st.sampled_from([1e-6, 1.0, 1e6]))
def test_no_prior_and_noise_do_better(seed, images, width, unit):
    """The score bounds the definition from above at any alpha and any beta below the bound, in any unit of features."""
    rng = np.random.default_rng(seed)
    labels_N = np.arange(images) % 2
    features_ND = rng.normal(size=(images, width))
    score = logme(evidence_of(unit * features_ND, labels_N))
    for alpha, beta in 10 ** rng.uniform(-3, 4, size=(5, 2)):
        direct = (
            np.mean([direct_log_evidence(features_ND, (labels_N == k).astype(float), alpha, beta) for k in (0, 1)])
            / images
        )
        assert score >= direct - 1e-6
