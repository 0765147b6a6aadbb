from __future__ import annotations

import math

import pytest
import torch
from torch.nn import functional

from medical_transfer.losses.kd import soft_divergence, weighed


def logits(classes: int = 4, seed: int = 0, scale: float = 1.0) -> tuple[torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(seed)
    student, teacher = (scale * torch.randn(6, classes, dtype=torch.float64, generator=generator) for _ in range(2))
    return student.requires_grad_(), teacher


def softmax(values: list[float], temperature: float) -> list[float]:
    powers = [math.exp(value / temperature) for value in values]
    return [power / sum(powers) for power in powers]


@pytest.mark.parametrize("classes", [2, 5])
@pytest.mark.parametrize("temperature", [0.5, 1.0, 3.0])
def test_it_is_the_loop_of_the_definition(classes, temperature):
    student, teacher = logits(classes)
    total = 0.0
    for s, t in zip(student.tolist(), teacher.tolist(), strict=True):
        p, q = softmax(t, temperature), softmax(s, temperature)
        total += sum(a * math.log(a / b) for a, b in zip(p, q, strict=True))
    expected = temperature**2 * total / len(student)
    assert soft_divergence(student, teacher, temperature=temperature).item() == pytest.approx(expected, rel=1e-12)


def test_it_is_the_chapters_loss():
    """Section 4.2, written out."""
    student, teacher = logits()
    labels_N = torch.tensor([0, 1, 2, 3, 0, 1])
    soft_targets, soft_student = functional.softmax(teacher / 3.0, dim=1), functional.log_softmax(student / 3.0, dim=1)
    distillation = functional.kl_div(soft_student, soft_targets, reduction="batchmean") * 3.0**2
    hard = functional.cross_entropy(student, labels_N)
    expected = 0.7 * distillation + (1 - 0.7) * hard
    found = weighed(soft_divergence(student, teacher), hard)
    torch.testing.assert_close(found, expected, rtol=1e-12, atol=0)


def test_weight_0_is_exactly_the_labels_loss_even_beside_a_broken_teacher():
    hard = torch.tensor(0.3)
    assert weighed(torch.tensor(math.nan), hard, soft_weight=0) is hard
    assert weighed(torch.tensor(2.0), hard, soft_weight=1).item() == 2.0


def gradient(temperature: float) -> torch.Tensor:
    student, teacher = logits(scale=0.1)
    soft_divergence(student, teacher, temperature=temperature).backward()
    assert student.grad is not None
    return student.grad


@pytest.mark.parametrize("temperature", [3.0, 10.0, 100.0])
def test_the_size_of_the_gradient_does_not_hang_on_the_temperature(temperature):
    """Without the factor T^2 it would be 9 to 10,000 times smaller than at 1."""
    assert gradient(temperature).norm().item() == pytest.approx(gradient(1.0).norm().item(), rel=0.1)


def test_at_high_temperatures_it_matches_logits():
    """Hinton et al. 2015, eq. 3: the gradient tends to (z - v) / (N C) where both have mean 0 in each image."""
    student, teacher = logits()
    soft_divergence(student, teacher, temperature=1e4).backward()
    centred = [each.detach() - each.detach().mean(dim=1, keepdim=True) for each in (student, teacher)]
    expected = (centred[0] - centred[1]) / student.numel()
    torch.testing.assert_close(student.grad, expected, rtol=1e-3, atol=1e-6)
