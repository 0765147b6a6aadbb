"""GBC against Bhattacharyya coefficients that are integrated numerically, and the general formula with matrices."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.integrate import quad
from scipy.stats import norm
from sklearn.decomposition import PCA

from medical_transfer.transferability.evidence import Evidence, Undefined
from medical_transfer.transferability.gbc import FLOOR, gbc, gbc_diagonal, overlap


def evidence_of(features_ND, labels_N):
    return Evidence(features_ND=features_ND, labels_N=labels_N, groups_N=np.arange(len(labels_N)))


def with_matrices(coordinates_NR, labels_N, *, diagonal):
    """-sum over i != j of exp(-d) with the full formula of two Gaussians: inverses and determinants."""
    floor = FLOOR * coordinates_NR.var(axis=0).mean()
    total = 0.0
    for i in np.unique(labels_N):
        for j in np.unique(labels_N):
            if i == j:
                continue
            means, covariances = [], []
            for label in (i, j):
                rows_nR = coordinates_NR[labels_N == label]
                variance_R = rows_nR.var(axis=0)
                variance_R = variance_R if diagonal else np.full_like(variance_R, variance_R.mean())
                means.append(rows_nR.mean(axis=0))
                covariances.append(np.diag(np.maximum(variance_R, floor)))
            middle, gap = (covariances[0] + covariances[1]) / 2, means[0] - means[1]
            logs = [np.linalg.slogdet(each)[1] for each in (middle, *covariances)]
            total += np.exp(-gap @ np.linalg.inv(middle) @ gap / 8 - (logs[0] - (logs[1] + logs[2]) / 2) / 2)
    return -total


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 2**32 - 1), st.integers(10, 90), st.integers(1, 80), st.integers(2, 4), st.floats(0, 2))
def test_equals_the_formula_with_matrices_on_64_components(seed, images, width, classes, signal):
    rng = np.random.default_rng(seed)
    labels_N = np.arange(images) % classes
    spread_C = np.exp(rng.normal(size=classes))
    features_ND = spread_C[labels_N, None] * rng.normal(size=(images, width))
    features_ND += signal * rng.normal(size=(classes, width))[labels_N]
    coordinates_NR = PCA(min(64, width, images - 1)).fit_transform(features_ND)
    evidence = evidence_of(features_ND, labels_N)
    for score, diagonal in ((gbc, False), (gbc_diagonal, True)):
        expected = with_matrices(coordinates_NR, labels_N, diagonal=diagonal)
        assert score(evidence) == pytest.approx(expected, rel=1e-6, abs=1e-12)
        assert -classes * (classes - 1) <= score(evidence) <= 0


def test_one_feature_equals_the_integral():
    """The Bhattacharyya coefficient is the integral of the root of the product of two densities."""
    values_N, labels_N = np.array([0.0, 2.0, 1.5, 3.0, 7.0, 4.0, 4.5]), np.array([0, 0, 0, 1, 1, 1, 1])
    first, second = (norm(values_N[labels_N == c].mean(), values_N[labels_N == c].std()) for c in (0, 1))
    coefficient = quad(lambda x: np.sqrt(first.pdf(x) * second.pdf(x)), -20, 25)[0]
    assert gbc(evidence_of(values_N[:, None], labels_N)) == pytest.approx(-2 * coefficient, rel=1e-7)


def test_spherical_by_hand():
    """Two coordinates: variances 1 and 3, mean 2; the other class 8 and 8. Means 4 apart in the first.

    v = 5: 16 / (8 * 5) + 2 ln(5 / sqrt(16)) / 2. Diagonal: v = 4.5 and 5.5.
    """
    a, b, c = 1.0, 3**0.5, 8**0.5
    rows_NR = np.array([[-a, -b], [a, b], [a, -b], [-a, b], [4 - c, -c], [4 + c, c], [4 + c, -c], [4 - c, c]])
    labels_N = np.repeat([0, 1], 4)
    assert overlap(rows_NR, labels_N, diagonal=False) == pytest.approx(2 * np.exp(-0.4 - np.log(5 / 4)))
    terms = 16 / (8 * 4.5) + np.log(4.5 / 8**0.5) / 2 + np.log(5.5 / 24**0.5) / 2
    assert overlap(rows_NR, labels_N, diagonal=True) == pytest.approx(2 * np.exp(-terms))


def test_equal_classes_overlap_fully_and_far_ones_not_at_all():
    rng = np.random.default_rng(0)
    same_ND = np.tile(rng.normal(size=(10, 4)), (3, 1))
    labels_N = np.repeat([0, 1, 2], 10)
    assert gbc(evidence_of(same_ND, labels_N)) == pytest.approx(-6)
    far = gbc(evidence_of(same_ND + 1e3 * labels_N[:, None], labels_N))
    assert far == 0
    assert np.copysign(1, far) == 1, "not minus zero"


def test_a_constant_feature_does_not_count_as_a_coordinate():
    rng = np.random.default_rng(1)
    features_ND, labels_N = rng.normal(size=(30, 5)) * np.arange(1, 6), np.arange(30) % 2
    padded_ND = np.concatenate([features_ND, np.full((30, 4), 0.3)], axis=1)
    assert gbc(evidence_of(padded_ND, labels_N)) == pytest.approx(gbc(evidence_of(features_ND, labels_N)), rel=1e-9)


def test_classes_without_variance():
    """Equal points overlap fully, different ones hardly: the floor of the variance is finite."""
    labels_N = np.arange(12) % 3
    points_C2 = np.array([[0.0, 0.0], [0.0, 0.0], [1.0, 0.0]])
    assert gbc(evidence_of(points_C2[labels_N], labels_N)) == pytest.approx(-2)


@pytest.mark.parametrize("score", [gbc, gbc_diagonal])
def test_undefined(score):
    rng = np.random.default_rng(0)
    with pytest.raises(Undefined, match="class number 1 has one image only"):
        score(evidence_of(rng.normal(size=(6, 3)), np.array([0, 0, 0, 0, 0, 1])))
    with pytest.raises(Undefined, match="same features for all images"):
        score(evidence_of(np.full((6, 3), 0.1), np.arange(6) % 2))
