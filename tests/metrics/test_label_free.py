"""Scores without target labels against scipy, numpy and double loops, and what each of them falls for."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import entropy
from sklearn.metrics import accuracy_score

from medical_transfer.metrics import label_free
from medical_transfer.metrics.label_free import (
    TARGET_SCORES,
    batch_nuclear_norm,
    information_maximisation,
    negative_entropy,
    soft_neighbourhood_density,
    source_accuracy,
)

predictions = st.tuples(
    st.integers(0, 2**32 - 1), st.integers(2, 25), st.integers(2, 5), st.sampled_from([0.1, 1.0])
).map(lambda shape: np.random.default_rng(shape[0]).dirichlet(np.full(shape[2], shape[3]), size=shape[1]))


def certain(classes: list[int], of: int = 3) -> np.ndarray:
    return np.eye(of)[classes]


@settings(max_examples=60, deadline=None)
@given(predictions)
def test_entropies_against_scipy(probabilities):
    mean = entropy(probabilities, axis=1).mean()
    assert negative_entropy(probabilities) == pytest.approx(-mean)
    of_mean = entropy(probabilities.mean(axis=0))
    assert information_maximisation(probabilities) == pytest.approx(of_mean - mean, abs=1e-12)
    assert -1e-12 <= information_maximisation(probabilities) <= math.log(probabilities.shape[1]) + 1e-12


def test_entropies_by_hand():
    even = certain([0, 1, 2, 0, 1, 2])
    assert negative_entropy(even) == 0
    assert information_maximisation(even) == pytest.approx(math.log(3))
    unsure = np.full((4, 3), 1 / 3)
    assert negative_entropy(unsure) == pytest.approx(-math.log(3))
    assert information_maximisation(unsure) == pytest.approx(0)


@settings(max_examples=60, deadline=None)
@given(predictions)
def test_the_nuclear_norm_against_the_root_of_the_gram_matrix(probabilities):
    """Sum of roots of the eigenvalues of P'P over sqrt(N min(N, C)); at most 1, and the same for twice the images."""
    eigenvalues = np.linalg.eigvalsh(probabilities.T @ probabilities).clip(0)
    greatest = math.sqrt(len(probabilities) * min(probabilities.shape))
    found = batch_nuclear_norm(probabilities)
    assert found == pytest.approx(np.sqrt(eigenvalues).sum() / greatest, rel=1e-6)
    assert found <= 1 + 1e-12
    if len(probabilities) >= probabilities.shape[1]:
        assert batch_nuclear_norm(np.concatenate([probabilities] * 2)) == pytest.approx(found)


def test_the_nuclear_norm_by_hand():
    assert batch_nuclear_norm(certain([0, 1, 2])) == pytest.approx(1)
    # one class for all: one singular value sqrt(4), over sqrt(4 x 3)
    assert batch_nuclear_norm(certain([1] * 4)) == pytest.approx(1 / math.sqrt(3))
    # 1/3 everywhere: one singular value, the Frobenius norm sqrt(4 / 3)
    assert batch_nuclear_norm(np.full((4, 3), 1 / 3)) == pytest.approx(math.sqrt(4 / 3) / math.sqrt(12))


def looped_density(rows: np.ndarray, temperature: float) -> float:
    entropies = []
    for i, row in enumerate(rows):
        others = [other for j, other in enumerate(rows) if j != i]
        cosines = np.array([row @ o / np.linalg.norm(row) / np.linalg.norm(o) for o in others])
        weights = np.exp(cosines / temperature)
        entropies.append(entropy(weights / weights.sum()))
    return float(np.mean(entropies))


@settings(max_examples=40, deadline=None)
@given(predictions, st.sampled_from([0.05, 0.5]), st.sampled_from([1, 3, 1024]))
def test_density_against_a_double_loop_whatever_the_blocks(probabilities, temperature, rows_at_once):
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(label_free, "ROWS_AT_ONCE", rows_at_once)
        found = soft_neighbourhood_density(probabilities, temperature=temperature)
    assert found == pytest.approx(looped_density(probabilities, temperature), abs=1e-9)


def test_density_by_hand():
    # clusters of 5, 5 and 5: four equally close neighbours each, the others e^-20 as heavy
    clusters = certain([0, 1, 2] * 5)
    assert soft_neighbourhood_density(clusters) == pytest.approx(math.log(4), abs=1e-6)
    with pytest.raises(ValueError, match="needs two images"):
        soft_neighbourhood_density(certain([0]))


@settings(max_examples=40, deadline=None)
@given(predictions, st.integers(0, 2**32 - 1))
def test_neither_the_order_of_images_nor_that_of_classes_matters(probabilities, seed):
    rng = np.random.default_rng(seed)
    images, classes = (rng.permutation(length) for length in probabilities.shape)
    for name, score in TARGET_SCORES.items():
        value = score(probabilities)
        assert isinstance(value, float)
        assert score(probabilities[images][:, classes]) == pytest.approx(value, abs=1e-9), name


@settings(max_examples=40, deadline=None)
@given(predictions, st.integers(0, 2**32 - 1))
def test_source_accuracy_against_scikit_learn(probabilities, seed):
    labels = np.random.default_rng(seed).integers(0, probabilities.shape[1], len(probabilities))
    assert source_accuracy(labels, probabilities) == pytest.approx(accuracy_score(labels, probabilities.argmax(axis=1)))


def blurred(classes: np.ndarray, certainty: float, rng: np.random.Generator) -> np.ndarray:
    logits = certainty * np.eye(3)[classes] + rng.normal(0, 0.3, (len(classes), 3))
    return np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)


def test_all_prefer_clear_clusters_and_two_fall_for_collapse():
    """As the docstrings warn: certainty and density like one class for all; the two that look at diversity do not."""
    rng = np.random.default_rng(0)
    classes = np.arange(150) % 3
    clear, vague, collapsed = blurred(classes, 6, rng), blurred(classes, 1.5, rng), blurred(0 * classes, 8, rng)
    for score in TARGET_SCORES.values():
        assert score(clear) > score(vague)
    for score in (negative_entropy, soft_neighbourhood_density):
        assert score(collapsed) > score(clear)
    for score in (information_maximisation, batch_nuclear_norm):
        assert score(collapsed) < score(clear)
