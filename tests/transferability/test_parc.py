"""PARC against numpy's corrcoef of rows and of one-hot labels with scipy's spearmanr, and a case by hand."""

from __future__ import annotations

from importlib import import_module

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import spearmanr

from medical_transfer.transferability.evidence import Evidence, Undefined
from medical_transfer.transferability.parc import MAX_IMAGES, distance_correlation, parc


def evidence_of(features_ND, labels_N, **known):
    return Evidence(features_ND=features_ND, labels_N=labels_N, groups_N=np.arange(len(labels_N)), **known)


def written_out(features_ND, labels_N):
    """One-hot labels and all, over the lower triangle."""
    standard_ND = (features_ND - features_ND.mean(axis=0)) / features_ND.std(axis=0)
    lower = np.tril_indices(len(labels_N), -1)
    features_P = (1 - np.corrcoef(standard_ND))[lower]
    labels_P = (1 - np.corrcoef(np.eye(labels_N.max() + 1)[labels_N]))[lower]
    return spearmanr(np.round(features_P, 9), np.round(labels_P, 9)).statistic


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 2**32 - 1), st.integers(5, 40), st.integers(2, 60), st.integers(2, 4), st.floats(0, 5))
def test_equals_the_formula_with_one_hot_labels(seed, images, width, classes, signal):
    rng = np.random.default_rng(seed)
    labels_N = np.arange(images) % classes
    scales_D = np.exp(rng.normal(size=width))
    features_ND = scales_D * (rng.normal(size=(images, width)) + signal * rng.normal(size=(classes, width))[labels_N])
    score = parc(evidence_of(features_ND, labels_N))
    assert score == pytest.approx(written_out(features_ND, labels_N), abs=1e-9)
    assert -1 <= score <= 1


def test_by_hand():
    """Rows (1, -1), (1, -1), (-1, 1), (-1, 1) are standardised as they are; pairs are 0 or 2 apart.

    Labels 0 0 1 1: the same pairs differ, so 1. Labels 0 1 1 1: pairs 01 02 03 differ, pairs 02 03 12 13 are 2 apart;
    of six pairs three and four, both: two, so r = (2/6 - 3/6 4/6) / sqrt(1/4 2/9) = 0.
    """
    features_ND = np.array([[1.0, -1.0], [1.0, -1.0], [-1.0, 1.0], [-1.0, 1.0]])
    assert parc(evidence_of(features_ND, np.array([0, 0, 1, 1]))) == pytest.approx(1)
    assert parc(evidence_of(features_ND, np.array([0, 1, 1, 1]))) == pytest.approx(0, abs=1e-12)


def test_rounding_breaks_no_ties():
    """Copies and mirrored copies of a row are 0 and 2 apart, whatever the last digit of their correlation."""
    rng = np.random.default_rng(0)
    row_D = rng.normal(size=37)
    labels_N = np.arange(40) % 2
    features_ND = np.where(labels_N[:, None] == 0, row_D, -row_D)
    assert parc(evidence_of(features_ND, labels_N)) == pytest.approx(1, abs=1e-12)


def test_a_constant_feature_and_a_row_without_variance_play_no_part():
    rng = np.random.default_rng(1)
    features_ND, labels_N = rng.normal(size=(12, 5)), np.arange(12) % 2
    padded_ND = np.concatenate([features_ND, np.full((12, 1), 0.1)], axis=1)
    standard_ND = np.concatenate([(features_ND - features_ND.mean(0)) / features_ND.std(0), np.zeros((12, 1))], axis=1)
    lower = np.tril_indices(12, -1)
    expected = spearmanr((1 - np.corrcoef(standard_ND))[lower], (labels_N[:, None] != labels_N)[lower]).statistic
    assert parc(evidence_of(padded_ND, labels_N)) == pytest.approx(expected)
    flat_ND = np.array([[0.0, 0.0], [0.0, 0.0], [1.0, -1.0], [-1.0, 1.0]])  # r = 0 with the first two, -1 of the last
    assert parc(evidence_of(flat_ND, np.array([0, 0, 1, 0]))) == pytest.approx(
        spearmanr([1, 1, 1, 1, 1, 2], [0, 1, 0, 1, 0, 1]).statistic
    )


def test_more_images_are_drawn_from_the_reference():
    rng = np.random.default_rng(2)
    images = MAX_IMAGES + 300
    labels_N = np.arange(images) % 2
    features_ND, reference_NE = rng.normal(size=(images, 4)) + labels_N[:, None], rng.normal(size=(images, 3))
    scored = parc(evidence_of(features_ND, labels_N, reference_features_NE=reference_NE))
    assert scored == pytest.approx(distance_correlation(features_ND, labels_N), abs=0.03)
    order = rng.permutation(images)
    shuffled = evidence_of(features_ND[order], labels_N[order], reference_features_NE=reference_NE[order])
    assert parc(shuffled) == pytest.approx(scored, rel=1e-9)
    alone = parc(evidence_of(features_ND, labels_N))
    assert alone != scored
    assert parc(evidence_of(features_ND[order], labels_N[order])) == pytest.approx(alone, rel=1e-9)
    assert parc(evidence_of(features_ND, labels_N, seed=1)) != alone


def test_sources_with_one_reference_meet_the_same_images(monkeypatch):
    rng = np.random.default_rng(3)
    images = MAX_IMAGES + 100
    reference_NE, met = rng.normal(size=(images, 3)), []
    module = import_module("medical_transfer.transferability.parc")
    monkeypatch.setattr(module, "distance_correlation", lambda _, labels_N: met.append(labels_N) or 0.0)
    for width in (2, 5):
        features_ND = rng.normal(size=(images, width))
        parc(evidence_of(features_ND, np.arange(images) // 2, reference_features_NE=reference_NE))
    assert np.array_equal(met[0], met[1])


@pytest.mark.parametrize(
    ("features_ND", "reason"), [(np.arange(6.0)[:, None], "one feature"), (np.ones((6, 3)), "differ in their distance")]
)
def test_undefined(features_ND, reason):
    with pytest.raises(Undefined, match=reason):
        parc(evidence_of(features_ND, np.arange(6) % 2))
