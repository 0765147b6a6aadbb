"""Novelty scores agree with scipy and scikit-learn, and abstention keeps its promise on validation images."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy.spatial.distance import mahalanobis as scipy_mahalanobis
from sklearn.covariance import LedoitWolf
from sklearn.metrics import roc_auc_score
from sklearn.neighbors import NearestNeighbors

from medical_transfer.evaluation.novelty import NEIGHBOURS, SCORES, fit_detector, threshold_for
from medical_transfer.models.reference import Reference


def features(images: int, width: int, *, seed: int = 0, shift: float = 0.0) -> np.ndarray:
    """Correlated features of two classes in turn, a unit apart."""
    rng = np.random.default_rng(seed)
    mixing = np.random.default_rng(99).normal(size=(width, width)) / np.sqrt(width)
    return rng.normal(size=(images, width)) @ mixing + (np.arange(images) % 2)[:, None] + shift


@pytest.mark.parametrize(("images", "width"), [(200, 6), (30, 50)])
def test_mahalanobis_is_scipys_under_scikit_learns_covariance(images: int, width: int) -> None:
    train_ND, labels_N = features(images, width), np.arange(images) % 2
    new_nD = features(7, width, seed=1, shift=0.5)
    means = [train_ND[labels_N == label].mean(axis=0) for label in (0, 1)]
    residuals = train_ND - np.stack(means)[labels_N]
    precision = np.linalg.inv(LedoitWolf(assume_centered=True).fit(residuals).covariance_)
    expected = [min(scipy_mahalanobis(row, mean, precision) for mean in means) for row in new_nD]
    np.testing.assert_allclose(SCORES["mahalanobis"](train_ND, labels_N)(new_nD), expected, rtol=1e-8)


def test_nearest_is_scikit_learns_distance_to_the_tenth_neighbour() -> None:
    train_ND, new_nD = features(60, 5), features(9, 5, seed=1)
    unit, new_unit = (rows / np.linalg.norm(rows, axis=1, keepdims=True) for rows in (train_ND, new_nD))
    distances, _ = NearestNeighbors(n_neighbors=NEIGHBOURS).fit(unit).kneighbors(new_unit)
    np.testing.assert_allclose(SCORES["nearest"](train_ND, np.zeros(60, int))(new_nD), distances[:, -1], atol=1e-10)


@pytest.mark.parametrize("name", SCORES)
def test_other_images_score_higher_and_odd_features_stay_finite(name: str) -> None:
    train_ND, labels_N = features(80, 12), np.arange(80) % 2
    train_ND[:, 3] = 7.0  # never varies
    same, other = features(50, 12, seed=1), features(50, 12, seed=2) * 3
    same[:, 3], other[:, 3] = 7.0, 9.0
    score = SCORES[name](train_ND, labels_N)
    assert roc_auc_score([0] * 50 + [1] * 50, np.concatenate([score(same), score(other)])) > 0.75
    assert np.isfinite(score(np.zeros((2, 12)))).all()
    alone = SCORES[name](np.ones((3, 12)), np.zeros(3, int))
    assert np.isfinite(alone(same)).all()


def test_the_threshold_is_the_rank_that_conformal_prediction_asks_for() -> None:
    scores = np.arange(1.0, 100.0)[::-1]  # 99 of them: 1..99
    assert threshold_for(scores, 0.05) == 95  # the 95th of (99 + 1)
    assert threshold_for(scores, 0.01) == 99
    assert threshold_for(scores, 0.009) == math.inf  # cannot be promised from 99 images
    assert threshold_for(np.empty(0), 0.05) == math.inf


def test_images_like_the_validation_images_are_abstained_on_as_often_as_promised() -> None:
    rng = np.random.default_rng(0)
    shares = [np.mean(rng.normal(size=200) > threshold_for(rng.normal(size=39), 0.1)) for _ in range(400)]
    assert np.mean(shares) == pytest.approx(0.1, abs=0.01)  # standard error .0025


@pytest.mark.parametrize("name", SCORES)
def test_a_detector_is_fitted_to_training_and_cut_on_validation_images(name: str) -> None:
    train, val = features(80, 6).astype(np.float32), features(59, 6, seed=5).astype(np.float32)
    zeros = np.zeros(59, int)
    reference = Reference(train, np.arange(80) % 2, np.arange(80), val, zeros, zeros, np.zeros((59, 2), np.float32))
    detector = fit_detector(reference, name, 0.1)
    assert detector.threshold == np.sort(detector.score(val))[53]  # ceil(.9 x 60) = 54
    assert (detector.score(val) > detector.threshold).sum() == 5
