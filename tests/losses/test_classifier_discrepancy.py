"""MCD's discrepancy: L1 of two softmaxes over the number of classes."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.special import softmax

from medical_transfer.losses.classifier_discrepancy import classifier_discrepancy


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 2**32 - 1), st.integers(1, 8), st.integers(2, 5))
def test_against_the_papers_sum(seed, images, classes):
    rng = np.random.default_rng(seed)
    first, second = rng.normal(0, 3, (2, images, classes))
    expected = np.mean(
        [np.abs(p - q).sum() / classes for p, q in zip(softmax(first, axis=1), softmax(second, axis=1), strict=True)]
    )
    found = float(classifier_discrepancy(torch.from_numpy(first), torch.from_numpy(second)))
    assert found == pytest.approx(expected)
    assert found == pytest.approx(float(classifier_discrepancy(torch.from_numpy(second), torch.from_numpy(first))))
    assert 0 <= found <= 2 / classes


def test_by_hand():
    # certain of different classes: |1 - 0| + |0 - 1| over three classes; logits shifted by a number are the same
    first, second = torch.tensor([[99.0, 0.0, 0.0]]), torch.tensor([[0.0, 99.0, 0.0]])
    assert float(classifier_discrepancy(first, second)) == pytest.approx(2 / 3)
    assert float(classifier_discrepancy(first, first + 5)) == pytest.approx(0)
