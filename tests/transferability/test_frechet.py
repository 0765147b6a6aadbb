"""The Frechet distance against the closed form of diagonal Gaussians, and the root of matrices of scipy."""

from __future__ import annotations

import warnings

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.linalg import sqrtm
from test_distances import make

from medical_transfer.transferability.distances.frechet import frechet, frechet_square
from medical_transfer.transferability.distances.permuted import labelings


def with_root(source_ND, target_MD):
    """Equation 6 as printed, by scipy's root of the product of covariances."""
    gap_D = source_ND.mean(axis=0) - target_MD.mean(axis=0)
    first_DD, second_DD = (np.atleast_2d(np.cov(rows, rowvar=False)) for rows in (source_ND, target_MD))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # it says that singular matrices may have no root
        root_DD = np.real(sqrtm(first_DD @ second_DD))
    return gap_D @ gap_D + np.trace(first_DD + second_DD - 2 * root_DD)


def exactly(mean_D, deviation_D):
    """Rows whose mean and (unbiased) covariance are these, without any correlation: a cross of 2 D points."""
    width = len(deviation_D)
    arm = np.sqrt((2 * width - 1) / 2)
    return mean_D + arm * np.vstack([np.diag(deviation_D), -np.diag(deviation_D)])


def test_closed_form_of_diagonal_gaussians():
    # |(1, -2, 0)|^2 + (1-2)^2 + (3-.5)^2 + (2-2)^2 = 5 + 1 + 6.25
    source_ND = exactly(np.array([1.0, 0.0, 5.0]), np.array([1.0, 3.0, 2.0]))
    target_MD = exactly(np.array([0.0, 2.0, 5.0]), np.array([2.0, 0.5, 2.0]))
    assert np.cov(source_ND, rowvar=False) == pytest.approx(np.diag([1.0, 9.0, 4.0]))
    assert frechet_square(source_ND, target_MD) == pytest.approx(12.25)


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 2**32 - 1), st.integers(8, 30), st.integers(8, 30), st.integers(1, 7))
def test_equals_the_root_of_scipy_where_it_has_one(seed, source, target, width):
    rng = np.random.default_rng(seed)
    source_ND = rng.normal(size=(source, width)) @ rng.normal(size=(width, width))
    target_MD = rng.normal(1, 2, (target, width))
    assert frechet_square(source_ND, target_MD) == pytest.approx(with_root(source_ND, target_MD), rel=1e-6, abs=1e-6)


@pytest.mark.parametrize(("source", "target", "width"), [(6, 9, 20), (30, 6, 20), (6, 30, 20), (1, 9, 4)])
def test_fewer_images_than_features_equal_the_root_of_eigenvalues(source, target, width):
    """The eigenvalues of S1 S2 themselves: scipy's root is unstable for singular matrices."""
    rng = np.random.default_rng(1)
    source_ND, target_MD = rng.normal(size=(source, width)), rng.normal(1, 2, (target, width))
    gap_D = source_ND.mean(axis=0) - target_MD.mean(axis=0)
    first_DD = np.cov(source_ND, rowvar=False) if source > 1 else np.zeros((width, width))
    second_DD = np.cov(target_MD, rowvar=False)
    eigenvalues = np.clip(np.linalg.eigvals(first_DD @ second_DD).real, 0, None)
    expected = gap_D @ gap_D + np.trace(first_DD) + np.trace(second_DD) - 2 * np.sqrt(eigenvalues).sum()
    assert frechet_square(source_ND, target_MD) == pytest.approx(expected, rel=1e-4)


def test_of_a_set_with_itself_is_zero():
    rows = np.random.default_rng(0).normal(size=(12, 30))
    assert frechet_square(rows, rows) == pytest.approx(0, abs=1e-10)


@pytest.mark.parametrize("width", [4, 60])
def test_value_and_permutations_are_those_of_the_rows_that_labels_choose(width):
    domains = make(source=14, target=10, width=width, gap=0.5, per_group=2)
    pooled_PD = np.concatenate([domains.source_ND, domains.target_MD])
    found = frechet(domains, 4)
    labels_AG = labelings(domains.is_source, 4, np.random.default_rng(domains.seed))
    for value, source_P in zip([found.value, *found.null_B], labels_AG[:, domains.groups], strict=True):
        assert value == pytest.approx(frechet_square(pooled_PD[source_P], pooled_PD[~source_P]), rel=1e-8)


def test_equal_domains_with_few_images_are_not_near_zero_but_their_null_is_as_far():
    found = frechet(make(source=20, target=20, width=100), 49)
    assert found.value > 20
    assert found.value == pytest.approx(found.null_B.mean(), rel=0.1)
