"""Deep CORAL against numpy's covariance and by hand."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from medical_transfer.losses.coral import coral


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 2**32 - 1), st.integers(2, 12), st.integers(2, 12), st.integers(1, 6), st.floats(-100, 100))
def test_against_numpys_covariance(seed, sources, targets, width, offset):
    rng = np.random.default_rng(seed)
    source, target = rng.normal(offset, 1, (sources, width)), rng.normal(0, 2, (targets, width))
    gap = np.atleast_2d(np.cov(source, rowvar=False)) - np.atleast_2d(np.cov(target, rowvar=False))
    expected = np.linalg.norm(gap, "fro") ** 2 / (4 * width**2)
    assert float(coral(torch.from_numpy(source), torch.from_numpy(target))) == pytest.approx(expected, rel=1e-8)


def test_the_papers_own_form_of_the_covariance():
    """Eq. 2: (X'X - (1'X)'(1'X) / n) / (n - 1)."""
    rng = np.random.default_rng(0)
    source, target = rng.normal(size=(5, 3)), rng.normal(size=(8, 3))

    def covariance(rows):
        ones = np.ones((1, len(rows)))
        return (rows.T @ rows - (ones @ rows).T @ (ones @ rows) / len(rows)) / (len(rows) - 1)

    expected = ((covariance(source) - covariance(target)) ** 2).sum() / (4 * 3**2)
    assert float(coral(torch.from_numpy(source), torch.from_numpy(target))) == pytest.approx(expected)


def test_by_hand_and_blind_to_means():
    # variances 2 and 8 of one feature: 36 / 4
    source, target = torch.tensor([[0.0], [2.0]]), torch.tensor([[100.0], [104.0]])
    assert float(coral(source, target)) == pytest.approx(9)
    assert float(coral(source, source + 100)) == pytest.approx(0)
