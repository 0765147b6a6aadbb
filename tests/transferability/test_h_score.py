"""Shrunk H-score against scikit-learn's LedoitWolf and the formula written out with D x D matrices."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.covariance import LedoitWolf

from medical_transfer.transferability.evidence import Evidence, Undefined
from medical_transfer.transferability.h_score import h_score, ledoit_wolf_shrinkage


def evidence_of(features_ND, labels_N):
    return Evidence(features_ND=features_ND, labels_N=labels_N, groups_N=np.arange(len(labels_N)))


def written_out(features_ND, labels_N):
    estimate = LedoitWolf().fit(features_ND)
    means_ND = np.stack([features_ND[labels_N == label].mean(axis=0) for label in labels_N])
    between_DD = np.cov(means_ND, rowvar=False, bias=True).reshape(estimate.covariance_.shape)
    return np.trace(np.linalg.pinv(estimate.covariance_) @ ((1 - estimate.shrinkage_) * between_DD))


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 2**32 - 1), st.integers(5, 40), st.integers(2, 60), st.integers(2, 4))
def test_equals_the_formula_with_sklearns_covariance(seed, images, width, classes):
    rng = np.random.default_rng(seed)
    labels_N = np.arange(images) % classes
    scales_D = np.exp(rng.normal(size=width))
    features_ND = scales_D * (rng.normal(size=(images, width)) + rng.normal(size=(classes, width))[labels_N]) + 3
    assert h_score(evidence_of(features_ND, labels_N)) == pytest.approx(written_out(features_ND, labels_N), rel=1e-7)


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 2**32 - 1), st.integers(5, 40), st.integers(2, 60))
def test_shrinkage_equals_sklearns(seed, images, width):
    features_ND = np.random.default_rng(seed).normal(size=(images, width)) * np.geomspace(1, 10, width)
    centred_ND = features_ND - features_ND.mean(axis=0)
    variance_R = np.linalg.svd(centred_ND, compute_uv=False) ** 2 / images
    assert ledoit_wolf_shrinkage(centred_ND, variance_R) == pytest.approx(LedoitWolf().fit(features_ND).shrinkage_)


def test_one_feature_by_hand():
    # Values 0, 2 | 4, 6: mean 3, variance 5; class means 1 and 5, between variance 4. One feature needs no shrinkage.
    assert h_score(evidence_of(np.array([[0.0], [2.0], [4.0], [6.0]]), np.array([0, 0, 1, 1]))) == pytest.approx(0.8)


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 2**32 - 1), st.floats(0, 100), st.integers(2, 4))
def test_lies_between_zero_and_the_number_of_classes_less_one(seed, signal, classes):
    rng = np.random.default_rng(seed)
    labels_N = np.arange(20) % classes
    features_ND = rng.normal(size=(20, 30)) + signal * rng.normal(size=(classes, 30))[labels_N]
    assert 0 <= h_score(evidence_of(features_ND, labels_N)) <= classes - 1


def test_the_same_features_for_all_images_are_undefined():
    with pytest.raises(Undefined, match="same features for all images"):
        h_score(evidence_of(np.full((6, 3), 0.1), np.arange(6) % 2))
