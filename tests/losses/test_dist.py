from __future__ import annotations

import numpy as np
import pytest
import torch
from scipy.stats import pearsonr

from medical_transfer.losses.dist import relations


def logits(classes: int) -> tuple[torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(0)
    return tuple(torch.randn(6, classes, dtype=torch.float64, generator=generator) for _ in range(2))


def probabilities(values: torch.Tensor, temperature: float) -> np.ndarray:
    powers = np.exp(values.numpy() / temperature)
    return powers / powers.sum(axis=1, keepdims=True)


def lack(left: np.ndarray, right: np.ndarray) -> float:
    """Mean over rows of 1 - Pearson's correlation, by scipy."""
    return float(np.mean([1 - pearsonr(a, b).statistic for a, b in zip(left, right, strict=True)]))


@pytest.mark.parametrize("temperature", [1.0, 4.0])
@pytest.mark.parametrize("weights", [(1.0, 1.0), (2.0, 0.0), (0.0, 3.0)])
def test_it_is_what_scipy_says_of_rows_and_columns(temperature, weights):
    student, teacher = logits(4)
    p, q = (probabilities(each, temperature) for each in (student, teacher))
    expected = temperature**2 * (weights[0] * lack(p, q) + weights[1] * lack(p.T, q.T))
    names = {"inter_weight": weights[0], "intra_weight": weights[1]}
    assert relations(student, teacher, temperature=temperature, **names).item() == pytest.approx(expected, rel=1e-9)


def test_of_two_classes_only_images_within_a_class_are_compared():
    student, teacher = logits(2)
    p, q = (probabilities(each, 1.0) for each in (student, teacher))
    expected = 3 * lack(p.T, q.T)
    assert relations(student, teacher, inter_weight=1.0, intra_weight=3.0).item() == pytest.approx(expected, rel=1e-9)
    assert np.unique([round(pearsonr(a, b).statistic) for a, b in zip(p, q, strict=True)]).tolist() == [-1, 1]


def test_it_cares_for_no_scale_of_probabilities():
    """Correlations, unlike divergences, let a student be less sure than its teacher everywhere."""
    teacher = torch.tensor([[0.7, 0.2, 0.1], [0.1, 0.6, 0.3], [0.2, 0.2, 0.6]], dtype=torch.float64)
    student = 0.4 * teacher + 0.2  # still sums to 1
    assert relations(student.log(), teacher.log()).item() == pytest.approx(0, abs=1e-9)
