"""The chapter's formula against its own words (Gram matrices, scipy's spearmanr); the sound form against loops."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import spearmanr

from medical_transfer.transferability.evidence import Evidence, Undefined
from medical_transfer.transferability.spearman_mmd import (
    MAX_IMAGES,
    rdm_correlation,
    rdm_spearman_mmd,
    spearman_minus_mmd,
    spearman_mmd,
    standardised_mmd2,
)


def evidence_of(features_ND, **known):
    images = len(features_ND)
    return Evidence(features_ND=features_ND, labels_N=np.arange(images) % 2, groups_N=np.arange(images), **known)


def chapters_score(source_ND, target_ND):
    """Section 1.3 as printed, Gram matrices and all, in float64."""
    correlation, _ = spearmanr(source_ND.flatten(), target_ND.flatten())
    xx, yy, xy = source_ND @ source_ND.T, target_ND @ target_ND.T, source_ND @ target_ND.T
    return correlation - 0.1 * (xx.mean() + yy.mean() - 2 * xy.mean())


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 2**32 - 1), st.integers(2, 20), st.integers(1, 10), st.booleans())
def test_literal_equals_the_chapters_code(seed, images, width, coarse):
    rng = np.random.default_rng(seed)
    source_ND, target_ND = rng.normal(1, 2, (images, width)), rng.normal(-1, 1, (images, width))
    if coarse:  # ties
        source_ND, target_ND = np.round(source_ND), np.round(target_ND)
    if np.ptp(source_ND) > 0 and np.ptp(target_ND) > 0:
        expected = chapters_score(source_ND, target_ND)
        assert spearman_minus_mmd(source_ND, target_ND) == pytest.approx(expected, abs=1e-10)


def test_literal_by_hand():
    # Ranks 1 2 3 4 against 1 2 4 3: rho = 1 - 6 * 2 / (4 * 15) = 0.8. Means (2, 3) and (1, 1): distance^2 = 1 + 4.
    source_ND, target_ND = np.array([[1.0, 2.0], [3.0, 4.0]]), np.array([[-1.0, 0.0], [3.0, 2.0]])
    assert spearman_minus_mmd(source_ND, target_ND) == pytest.approx(0.8 - 0.1 * 5)


def test_literal_of_a_matrix_with_itself_is_one():
    features_ND = np.random.default_rng(0).normal(size=(9, 4))
    assert spearman_mmd(evidence_of(features_ND, reference_features_NE=features_ND)) == pytest.approx(1)


def test_literal_refuses_other_shapes():
    evidence = evidence_of(np.random.default_rng(0).normal(size=(6, 4)), reference_features_NE=np.eye(6))
    with pytest.raises(Undefined, match=r"one shape; found \(6, 4\) and \(6, 6\)"):
        spearman_mmd(evidence)


@pytest.mark.parametrize("score", [spearman_mmd, rdm_spearman_mmd])
def test_without_reference_undefined(score):
    with pytest.raises(Undefined, match="no other model's features of the same images"):
        score(evidence_of(np.eye(6)))


@pytest.mark.parametrize("score", [spearman_mmd, rdm_spearman_mmd])
def test_constant_features_are_undefined(score):
    with pytest.raises(Undefined, match="values that differ"):
        score(evidence_of(np.ones((6, 6)), reference_features_NE=np.random.default_rng(0).normal(size=(6, 6))))


def test_rdm_equals_a_loop_over_pairs():
    rng = np.random.default_rng(3)
    features_ND, reference_NE = rng.normal(size=(12, 5)), rng.normal(size=(12, 8))
    pairs = [(i, j) for i in range(12) for j in range(i + 1, 12)]
    first = [np.sqrt(((features_ND[i] - features_ND[j]) ** 2).sum()) for i, j in pairs]
    second = [np.sqrt(((reference_NE[i] - reference_NE[j]) ** 2).sum()) for i, j in pairs]
    assert rdm_correlation(features_ND, reference_NE) == pytest.approx(spearmanr(first, second).statistic)


def test_rdm_sees_geometry_not_coordinates():
    """Rotated, shifted, scaled and padded features are the same representation: the literal form cannot see that."""
    rng = np.random.default_rng(4)
    features_ND = rng.normal(size=(30, 6))
    rotated_ND = 5 * features_ND @ np.linalg.qr(rng.normal(size=(6, 6)))[0] + 3
    padded_NE = np.concatenate([rotated_ND, np.ones((30, 2))], axis=1)
    assert rdm_spearman_mmd(evidence_of(features_ND, reference_features_NE=padded_NE)) == pytest.approx(1)
    assert spearman_mmd(evidence_of(features_ND, reference_features_NE=rotated_ND)) < 0


def test_rdm_pairs_rows():
    rng = np.random.default_rng(5)
    features_ND = rng.normal(size=(60, 6))
    shuffled_ND = features_ND[rng.permutation(60)]
    assert rdm_spearman_mmd(evidence_of(features_ND, reference_features_NE=shuffled_ND)) < 0.3


def test_distance_by_hand():
    # Feature 0: -1, 1 against 1, 3: means 0 and 2, variances 1, mixture variance 1 + 4/4 = 2, so 4/2 = 2.
    # Feature 1: constant 5 and 5: no difference. Feature 2: constants 0 and 1: mixture variance 1/4, so 1/(1/4) = 4.
    source_MD = np.array([[-1.0, 5.0, 0.0], [1.0, 5.0, 0.0]])
    target_ND = np.array([[1.0, 5.0, 1.0], [3.0, 5.0, 1.0]])
    assert standardised_mmd2(source_MD, target_ND) == pytest.approx((2 + 0 + 4) / 3)


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 2**32 - 1), st.floats(1e-3, 1e3), st.integers(1, 40))
def test_distance_is_standardised(seed, scale, repeats):
    """Unit, shift and the size of one set don't decide; both orders agree; the range is 0 to 4."""
    rng = np.random.default_rng(seed)
    source_MD, target_ND = rng.normal(size=(5, 3)), rng.normal(1, 2, size=(8, 3))
    distance = standardised_mmd2(source_MD, target_ND)
    assert 0 <= distance <= 4
    assert standardised_mmd2(target_ND, source_MD) == pytest.approx(distance)
    moved = standardised_mmd2(scale * source_MD + 1, scale * np.repeat(target_ND, repeats, axis=0) + 1)
    assert moved == pytest.approx(distance, rel=1e-6)


def test_distance_equals_gram_matrices_of_standardised_rows():
    rng = np.random.default_rng(6)
    source_MD, target_ND = rng.normal(size=(7, 4)), rng.normal(1, 2, size=(7, 4))
    both = np.concatenate([source_MD, target_ND])
    x, y = (source_MD - both.mean(0)) / both.std(0), (target_ND - both.mean(0)) / both.std(0)
    expected = ((x @ x.T).mean() + (y @ y.T).mean() - 2 * (x @ y.T).mean()) / 4
    assert standardised_mmd2(source_MD, target_ND) == pytest.approx(expected)


def test_source_domain_images_lower_the_sound_score_by_a_tenth_of_the_distance():
    rng = np.random.default_rng(7)
    features_ND, reference_NE, source_MD = rng.normal(size=(9, 4)), rng.normal(size=(9, 4)), rng.normal(2, 1, (5, 4))
    without = rdm_spearman_mmd(evidence_of(features_ND, reference_features_NE=reference_NE))
    given_images = evidence_of(features_ND, reference_features_NE=reference_NE, source_features_MD=source_MD)
    expected = without - 0.1 * standardised_mmd2(source_MD, features_ND)
    assert rdm_spearman_mmd(given_images) == pytest.approx(expected)


def test_subsample_is_near_the_whole_and_ignores_the_order_of_images():
    rng = np.random.default_rng(8)
    images = MAX_IMAGES + 200
    features_ND = rng.normal(size=(images, 5))
    reference_NE = features_ND + rng.normal(size=(images, 5))
    drawn = rdm_spearman_mmd(evidence_of(features_ND, reference_features_NE=reference_NE))
    assert drawn == pytest.approx(rdm_correlation(features_ND, reference_NE), abs=0.05)
    order = rng.permutation(images)
    shuffled = evidence_of(features_ND[order], reference_features_NE=reference_NE[order])
    assert rdm_spearman_mmd(shuffled) == pytest.approx(drawn, rel=1e-9)
    other_seed = evidence_of(features_ND, reference_features_NE=reference_NE, seed=1)
    assert rdm_spearman_mmd(other_seed) != drawn
