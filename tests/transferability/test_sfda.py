"""SFDA against scikit-learn's discriminant with a given shrinkage, a loop for ConfMix, and a case by hand."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.discriminant_analysis import LinearDiscriminantAnalysis

from medical_transfer.transferability.evidence import Evidence, Undefined
from medical_transfer.transferability.sfda import MIN_SHRINKAGE, confmix, sfda


def evidence_of(features_ND, labels_N):
    return Evidence(features_ND=features_ND, labels_N=labels_N, groups_N=np.arange(len(labels_N)))


def mixed_in_loops(features_ND, labels_N, posteriors_NC):
    means = {c: features_ND[labels_N == c].mean(axis=0) for c in np.unique(labels_N)}
    mixed_ND = np.empty_like(features_ND)
    for n, c in enumerate(labels_N):
        soft_C = np.exp(posteriors_NC[n]) / np.exp(posteriors_NC[n]).sum()
        others = np.mean([mean for other, mean in means.items() if other != c], axis=0)
        mixed_ND[n] = soft_C[c] * features_ND[n] + (1 - soft_C[c]) * others
    return mixed_ND


def written_out(features_ND, labels_N):
    """The score with D x D matrices and scikit-learn, which shrinks the covariance of each class and weights them."""
    within_DD = sum(
        (labels_N == c).mean() * np.cov(features_ND[labels_N == c], rowvar=False, bias=True)
        for c in np.unique(labels_N)
    )
    shrinkage = max(np.exp(-5 * np.linalg.eigvalsh(np.atleast_2d(within_DD)).max()), MIN_SHRINKAGE)
    first = LinearDiscriminantAnalysis(solver="lsqr", shrinkage=shrinkage).fit(features_ND, labels_N)
    mixed_ND = mixed_in_loops(features_ND, labels_N, first.predict_proba(features_ND))
    second = LinearDiscriminantAnalysis(solver="lsqr", shrinkage=shrinkage).fit(mixed_ND, labels_N)
    return second.predict_log_proba(mixed_ND)[np.arange(len(labels_N)), labels_N].mean()


@settings(max_examples=40, deadline=None)
@given(
    st.integers(0, 2**32 - 1),
    st.integers(12, 60),
    st.integers(2, 10),
    st.integers(2, 4),
    st.sampled_from([0.05, 0.3, 0.8]),
)
def test_equals_scikit_learns_discriminant(seed, images, width, classes, unit):
    rng = np.random.default_rng(seed)
    labels_N = rng.permutation(np.concatenate([np.arange(classes).repeat(2), rng.integers(0, classes, images)]))
    features_ND = unit * (rng.normal(size=(len(labels_N), width)) + rng.normal(size=(classes, width))[labels_N]) + 3
    expected = written_out(features_ND, labels_N)
    assert sfda(evidence_of(features_ND, labels_N)) == pytest.approx(expected, rel=1e-5, abs=1e-12)
    assert expected <= 0


@pytest.mark.parametrize("width", [40, 300])
def test_equals_scikit_learns_discriminant_with_more_features_than_images(width):
    rng = np.random.default_rng(2)
    labels_N = np.arange(30) % 3
    features_ND = 0.05 * (rng.normal(size=(30, width)) + 0.5 * rng.normal(size=(3, width))[labels_N])
    assert sfda(evidence_of(features_ND, labels_N)) == pytest.approx(written_out(features_ND, labels_N), rel=1e-6)


def test_one_feature_by_hand():
    """Values -1.2, -.8 | .8, 1.2: one feature needs no shrinkage. Mean gap 2, variance .04: log odds 50 x, all sure.

    Softened confidence 1/(1 + 1/e) but for e^-40; x becomes p x - (1 - p) sign(x), so with t = 2p - 1 the classes keep
    their signs: means t and -t, deviations .2 p, log odds 2 t x / (.04 p^2) at x = t +- .2 p.
    """
    features_ND, labels_N = np.array([[-1.2], [-0.8], [0.8], [1.2]]), np.array([0, 0, 1, 1])
    p = 1 / (1 + np.exp(-1))
    t = 2 * p - 1
    odds = [2 * t * (t + sign * 0.2 * p) / (0.04 * p**2) for sign in (-1, 1)]
    expected = -np.mean([np.log1p(np.exp(-each)) for each in odds])
    assert sfda(evidence_of(features_ND, labels_N)) == pytest.approx(expected, rel=1e-9)


def test_confmix_by_hand():
    # Class means 1, 5 and 9. Posteriors that are all equal soften to 1/3; one sure row softens to e/(e + 2).
    rows_NR, labels_N = np.array([[0.0], [2.0], [5.0], [9.0]]), np.array([0, 0, 1, 2])
    posteriors_NC = np.array([[1 / 3] * 3, [1.0, 0, 0], [1 / 3] * 3, [1 / 3] * 3])
    sure = np.e / (np.e + 2)
    expected = [0 / 3 + 7 * 2 / 3, 2 * sure + 7 * (1 - sure), 5 / 3 + 5 * 2 / 3, 9 / 3 + 3 * 2 / 3]
    assert confmix(rows_NR, labels_N, posteriors_NC)[:, 0] == pytest.approx(expected)


def test_keeps_the_digits_next_to_zero():
    """Two unit Gaussians 20 apart are parted to 1e-10 and better: a plain log of the softmax would say 0."""
    rng = np.random.default_rng(0)
    labels_N = np.arange(200) % 2
    features_ND = rng.normal(size=(200, 1)) + 40 * labels_N[:, None]
    assert -1e-16 < sfda(evidence_of(features_ND, labels_N)) < 0


def test_classes_without_inner_variance_are_perfect():
    labels_N = np.arange(12) % 3
    assert sfda(evidence_of(np.eye(3)[labels_N], labels_N)) == 0


def test_says_where_any_labels_would_fit():
    rng = np.random.default_rng(1)
    labels_N, features_ND = np.arange(20) % 2, rng.normal(size=(20, 80))
    for labels in (labels_N, rng.permutation(labels_N)):
        with pytest.raises(Undefined, match="20 images of 80 features and hardly any shrinkage: any labels fit"):
            sfda(evidence_of(features_ND, labels))


def test_the_same_features_for_all_images_are_undefined():
    with pytest.raises(Undefined, match="same features for all images"):
        sfda(evidence_of(np.full((6, 3), 0.1), np.arange(6) % 2))
