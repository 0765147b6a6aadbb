from __future__ import annotations

import math

import pytest
import torch

from medical_transfer.losses.dkd import decoupled_divergence
from medical_transfer.losses.kd import soft_divergence
from medical_transfer.types import UserError

LABELS_N = torch.tensor([0, 2, 1, 3, 3])


def logits(classes: int = 4) -> tuple[torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(0)
    return tuple(2 * torch.randn(5, classes, dtype=torch.float64, generator=generator) for _ in range(2))


def softmax(values: list[float]) -> list[float]:
    powers = [math.exp(value) for value in values]
    return [power / sum(powers) for power in powers]


def divergence(p: list[float], q: list[float]) -> float:
    return sum(a * math.log(a / b) for a, b in zip(p, q, strict=True))


def parts(temperature: float) -> list[tuple[float, float, float]]:
    """For each image TCKD, NCKD and the teacher's probability of the true class, by the definitions."""
    found = []
    for s, t, y in zip(*(each.tolist() for each in logits()), LABELS_N.tolist(), strict=True):
        q, p = softmax([z / temperature for z in s]), softmax([z / temperature for z in t])
        others = [c for c in range(len(p)) if c != y]
        target = divergence([p[y], 1 - p[y]], [q[y], 1 - q[y]])
        ranked = divergence([p[c] / (1 - p[y]) for c in others], [q[c] / (1 - q[y]) for c in others])
        found.append((target, ranked, p[y]))
    return found


@pytest.mark.parametrize("temperature", [1.0, 4.0])
@pytest.mark.parametrize("weights", [(1.0, 8.0), (0.5, 0.0), (0.0, 2.0)])
def test_it_is_the_loop_of_the_definition(temperature, weights):
    student, teacher = logits()
    names = {"target_weight": weights[0], "others_weight": weights[1]}
    found = decoupled_divergence(student, teacher, LABELS_N, temperature=temperature, **names)
    expected = sum(weights[0] * target + weights[1] * others for target, others, _ in parts(temperature))
    assert found.item() == pytest.approx(temperature**2 * expected / len(student), rel=1e-11)


def test_plain_distillation_is_its_sum_with_the_teachers_doubt_as_weight():
    """Eq. 6, against the plain loss itself."""
    student, teacher = logits()
    expected = sum(target + (1 - p) * others for target, others, p in parts(3.0)) * 9 / len(student)
    assert soft_divergence(student, teacher, temperature=3.0).item() == pytest.approx(expected, rel=1e-11)


def test_two_classes_are_refused():
    student, teacher = logits(2)
    with pytest.raises(UserError, match=r"of 2 classes there is one such.*Set training.distill.loss=kd"):
        decoupled_divergence(student, teacher, LABELS_N.clamp(max=1))
