"""LEEP against a loop over images and classes, closed forms in entropies, and a case by hand."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from medical_transfer.transferability.evidence import Evidence, Undefined
from medical_transfer.transferability.leep import leep, leep_of


def in_loops(probabilities_NK, labels_N):
    """The three steps of the paper, one image and one class at a time."""
    images, source_classes = probabilities_NK.shape
    joint = {(y, z): 0.0 for y in set(labels_N.tolist()) for z in range(source_classes)}
    for n, y in enumerate(labels_N.tolist()):
        for z in range(source_classes):
            joint[y, z] += probabilities_NK[n, z] / images
    total = 0.0
    for n, y in enumerate(labels_N.tolist()):
        likelihood = 0.0
        for z in range(source_classes):
            marginal = sum(joint[label, z] for label in set(labels_N.tolist()))
            likelihood += joint[y, z] / marginal * probabilities_NK[n, z] if marginal > 0 else 0
        total += np.log(likelihood)
    return total / images


def conditional_entropy(target_N, given_N):
    """H(target | given) in nats by counting."""
    entropy = 0.0
    for value in np.unique(given_N):
        shares = np.unique(target_N[given_N == value], return_counts=True)[1] / (given_N == value).sum()
        entropy -= (given_N == value).mean() * (shares * np.log(shares)).sum()
    return entropy


def evidence_of(labels_N, **known):
    images = len(labels_N)
    return Evidence(features_ND=np.eye(images), labels_N=labels_N, groups_N=np.arange(images), **known)


def test_by_hand():
    # Joint: class 0 has (.9 + .6)/3 = .5 and (.1 + .4)/3 = 1/6, class 1 has .2/3 and .8/3; marginals 1.7/3 and 1.3/3.
    # Likelihoods: 15/17 .9 + 5/13 .1, 15/17 .6 + 5/13 .4, 2/17 .2 + 8/13 .8.
    probabilities_NK = np.array([[0.9, 0.1], [0.6, 0.4], [0.2, 0.8]])
    likelihoods = [15 / 17 * 0.9 + 5 / 13 * 0.1, 15 / 17 * 0.6 + 5 / 13 * 0.4, 2 / 17 * 0.2 + 8 / 13 * 0.8]
    assert leep_of(probabilities_NK, np.array([0, 0, 1])) == pytest.approx(np.log(likelihoods).mean(), rel=1e-12)


@settings(max_examples=40, deadline=None)
@given(
    st.integers(0, 2**32 - 1), st.integers(3, 20), st.integers(1, 9), st.integers(2, 4), st.sampled_from([0.02, 1.0])
)
def test_equals_loops_between_no_knowledge_and_zero(seed, images, source_classes, classes, peakedness):
    rng = np.random.default_rng(seed)
    probabilities_NK = rng.dirichlet(np.full(source_classes, peakedness), images)
    labels_N = rng.integers(0, classes, images)
    assert leep_of(probabilities_NK, labels_N) == pytest.approx(in_loops(probabilities_NK, labels_N), abs=1e-10)
    entropy = conditional_entropy(labels_N, np.zeros(images))
    assert -entropy - 1e-10 <= leep_of(probabilities_NK, labels_N) <= 0


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 2**32 - 1), st.integers(4, 40), st.integers(1, 6))
def test_entropies_are_its_limits(seed, images, source_classes):
    """The same probabilities for all images say nothing: -H(Y). Sure ones say what their class says: -H(Y | Z)."""
    rng = np.random.default_rng(seed)
    labels_N, found_N = rng.integers(0, 3, images), rng.integers(0, source_classes, images)
    nothing_NK = np.tile(rng.dirichlet(np.ones(source_classes)), (images, 1))
    assert leep_of(nothing_NK, labels_N) == pytest.approx(-conditional_entropy(labels_N, np.zeros(images)), abs=1e-10)
    sure_NK = np.eye(source_classes)[found_N]
    assert leep_of(sure_NK, labels_N) == pytest.approx(-conditional_entropy(labels_N, found_N), abs=1e-10)


def test_swapped_arguments_change_the_answer():
    """Four source classes tell two labels apart fully; the labels don't tell the source classes apart."""
    labels_N, found_N = np.array([0, 0, 0, 0, 1, 1, 1, 1]), np.array([0, 0, 1, 1, 2, 2, 3, 3])
    assert leep_of(np.eye(4)[found_N], labels_N) == pytest.approx(0)
    assert leep_of(np.eye(2)[labels_N], found_N) == pytest.approx(-np.log(2))
    with pytest.raises(ValueError, match="takes probabilities"):
        leep_of(labels_N, np.eye(4)[found_N])


@pytest.mark.parametrize(
    ("probabilities_NK", "labels_N"), [(np.eye(3), np.array([0, 1])), (np.eye(2), np.array([0.0, 1.0]))]
)
def test_refuses_what_does_not_fit(probabilities_NK, labels_N):
    with pytest.raises(ValueError, match="takes probabilities"):
        leep_of(probabilities_NK, labels_N)


def test_float32_rows_do_not_lift_it_above_zero():
    probabilities_NK = np.full((4, 3), [1.00003, 0.0, 0.00001], dtype=np.float32)
    assert leep_of(probabilities_NK, np.zeros(4, dtype=int)) == pytest.approx(0, abs=1e-15)
    assert leep_of(probabilities_NK, np.zeros(4, dtype=int)) <= 0


@pytest.mark.parametrize("seed", range(5))
def test_the_last_digit_of_a_sum_does_not_lift_it_above_zero(seed):
    """Labels that are all alike are known for sure; their likelihoods are sums of 7 shares, 1 but for rounding."""
    probabilities_NK = np.random.default_rng(seed).dirichlet(np.ones(7), 50)
    assert -1e-15 < leep_of(probabilities_NK, np.zeros(50, dtype=int)) <= 0


def test_rows_are_divided_by_their_sum():
    """Rounding of a softmax must not weigh images: the same odds in rows of any sum are the same score."""
    rng = np.random.default_rng(2)
    probabilities_NK, labels_N = rng.dirichlet(np.ones(4), 15), np.arange(15) % 3
    scaled_NK = probabilities_NK * rng.uniform(0.9, 1.1, size=(15, 1))
    assert leep_of(scaled_NK, labels_N) == pytest.approx(leep_of(probabilities_NK, labels_N), rel=1e-12)


def test_a_source_class_without_probability_plays_no_part():
    rng = np.random.default_rng(0)
    probabilities_NK, labels_N = rng.dirichlet(np.ones(3), 12), np.arange(12) % 2
    padded_NK = np.insert(probabilities_NK, 1, 0.0, axis=1)
    assert leep_of(padded_NK, labels_N) == pytest.approx(leep_of(probabilities_NK, labels_N), rel=1e-12)


def test_reads_the_sources_probabilities():
    probabilities_NK, labels_N = np.random.default_rng(1).dirichlet(np.ones(5), 12), np.arange(12) % 3
    score = leep(evidence_of(labels_N, source_probabilities_NK=probabilities_NK))
    assert score == pytest.approx(in_loops(probabilities_NK, labels_N))


def test_without_probabilities_undefined():
    with pytest.raises(Undefined, match="resnet gives no probabilities of its own classes"):
        leep(evidence_of(np.arange(6) % 2, source="resnet"))
