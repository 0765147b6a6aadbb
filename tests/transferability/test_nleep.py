"""NLEEP against scikit-learn's PCA and mixture put together by hand, and its closed forms."""

from __future__ import annotations

import warnings

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.datasets import make_blobs
from sklearn.decomposition import PCA
from sklearn.mixture import GaussianMixture

from medical_transfer.transferability.evidence import Evidence, Undefined
from medical_transfer.transferability.nleep import components, mixture_posteriors, nleep, principal_coordinates


def evidence_of(features_ND, labels_N, **known):
    return Evidence(features_ND=features_ND, labels_N=labels_N, groups_N=np.arange(len(labels_N)), **known)


def entropy(labels_N):
    shares = np.bincount(labels_N) / len(labels_N)
    return -(shares * np.log(shares)).sum()


def test_clusters_that_are_found_give_the_entropy_of_labels_within_them():
    """Ten far blobs, ten components: blobs of one class count 0, blobs of two classes in equal parts count log 2."""
    centres_KD = 100 * np.random.default_rng(0).normal(size=(10, 4))
    features_ND, blob_N = make_blobs([60] * 10, centers=centres_KD, random_state=0)
    labels_N = np.where(blob_N < 4, np.arange(600) % 2, blob_N % 2)
    mixed = [(labels_N[blob_N == blob]).mean() for blob in range(10)]
    within = np.mean([0 if p in (0, 1) else -p * np.log(p) - (1 - p) * np.log(1 - p) for p in mixed])
    found = GaussianMixture(10, random_state=0).fit_predict(features_ND)
    assert len(set(zip(found, blob_N, strict=True))) == 10, "scikit-learn itself finds the ten blobs"
    assert nleep(evidence_of(features_ND, labels_N)) == pytest.approx(-within, abs=1e-3)


def test_is_leep_of_scikit_learns_mixture():
    rng = np.random.default_rng(1)
    coordinates_NR = rng.normal(size=(80, 3))
    expected_NK = GaussianMixture(6, random_state=4).fit(coordinates_NR).predict_proba(coordinates_NR)
    assert mixture_posteriors(coordinates_NR, 6, seed=4) == pytest.approx(expected_NK)


@settings(max_examples=20, deadline=None)
@given(st.integers(0, 2**32 - 1), st.integers(3, 40), st.integers(1, 60))
def test_coordinates_hold_four_fifths_of_the_variance(seed, images, width):
    rng = np.random.default_rng(seed)
    features_ND = rng.normal(size=(images, width)) * np.geomspace(1, 10, width)
    coordinates_NR = principal_coordinates(features_ND)
    shares_R = np.linalg.svd(features_ND - features_ND.mean(axis=0), compute_uv=False) ** 2
    count = int(np.searchsorted(np.cumsum(shares_R) / shares_R.sum(), 0.8) + 1)
    expected_NR = PCA(count).fit_transform(features_ND)
    assert coordinates_NR.shape == expected_NR.shape
    assert (coordinates_NR**2).mean() == pytest.approx(1)
    assert coordinates_NR * np.sqrt((expected_NR**2).mean()) == pytest.approx(expected_NR, abs=1e-6)


@pytest.mark.parametrize(
    ("images", "distinct", "classes", "expected"),
    [(1000, 1000, 2, 10), (1000, 1000, 4, 20), (60, 60, 3, 12), (12, 12, 2, 2), (4, 4, 2, 1), (100, 3, 2, 3)],
)
def test_number_of_components(images, distinct, classes, expected):
    rows_ND = np.random.default_rng(0).normal(size=(distinct, 2))
    evidence = evidence_of(rows_ND[np.arange(images) % distinct], np.arange(images) % classes)
    assert components(evidence) == expected


def test_one_component_knows_the_shares_of_the_classes_only():
    labels_N = np.array([0, 0, 0, 1])
    features_ND = np.random.default_rng(0).normal(size=(4, 3))
    assert nleep(evidence_of(features_ND, labels_N)) == pytest.approx(-entropy(labels_N))


@settings(max_examples=15, deadline=None)
@given(st.integers(0, 2**32 - 1), st.integers(5, 50), st.integers(1, 20), st.floats(0, 10))
def test_lies_between_no_knowledge_and_zero(seed, images, width, signal):
    rng = np.random.default_rng(seed)
    labels_N = np.arange(images) % 3
    features_ND = rng.normal(size=(images, width)) + signal * rng.normal(size=(3, width))[labels_N]
    assert -entropy(labels_N) - 1e-9 <= nleep(evidence_of(features_ND, labels_N)) <= 0


def test_the_order_of_images_equally_far_from_the_mean_moves_no_digit():
    """Corners of a cube and their mirror images: length alone gives them no order."""
    rng = np.random.default_rng(4)
    corners_ND = rng.choice([-1.0, 1.0], size=(40, 7))
    features_ND, labels_N = np.concatenate([corners_ND, -corners_ND]), np.arange(80) % 2
    scores = {nleep(evidence_of(features_ND[order], labels_N[order])) for order in map(rng.permutation, [80] * 5)}
    assert max(scores) - min(scores) < 1e-12


def test_another_seed_is_another_mixture():
    rng = np.random.default_rng(2)
    features_ND, labels_N = rng.normal(size=(120, 8)), np.arange(120) % 2
    scores = {nleep(evidence_of(features_ND, labels_N, seed=seed)) for seed in (0, 1)}
    assert len(scores) == 2


def test_an_unfinished_mixture_is_no_warning():
    rng = np.random.default_rng(3)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        mixture_posteriors(np.repeat(rng.normal(size=(3, 2)), 10, axis=0), 5, seed=0)


def test_the_same_features_for_all_images_are_undefined():
    with pytest.raises(Undefined, match="same features for all images"):
        nleep(evidence_of(np.full((6, 3), 0.1), np.arange(6) % 2))
