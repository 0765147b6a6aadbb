"""Hints, attention transfer and relations against loops."""

from __future__ import annotations

import math

import pytest
import torch

from medical_transfer.losses.attention_transfer import attention_transfer
from medical_transfer.losses.fitnet_hints import hint_loss
from medical_transfer.losses.rkd import angle_relation, distance_relation

GENERATOR = torch.Generator().manual_seed(0)


def drawn(*shape: int) -> torch.Tensor:
    return torch.randn(*shape, dtype=torch.float64, generator=GENERATOR)


def huber(difference: float) -> float:
    size = abs(difference)
    return 0.5 * size**2 if size < 1 else size - 0.5


def test_hints_are_the_mean_squared_difference():
    left, right = drawn(2, 3, 2, 2), drawn(2, 3, 2, 2)
    pairs = zip(left.flatten().tolist(), right.flatten().tolist(), strict=True)
    expected = sum((a - b) ** 2 for a, b in pairs) / left.numel()
    assert hint_loss(left, right).item() == pytest.approx(expected, rel=1e-12)


def test_maps_of_two_sizes_meet_on_the_smaller_grid():
    left, right = drawn(2, 3, 4, 4), drawn(2, 3, 2, 2)
    means = [[left[:, :, 2 * i : 2 * i + 2, 2 * j : 2 * j + 2].mean(dim=(2, 3)) for j in (0, 1)] for i in (0, 1)]
    averaged = torch.stack([torch.stack(row, dim=2) for row in means], dim=2)
    torch.testing.assert_close(hint_loss(left, right), hint_loss(averaged, right))
    torch.testing.assert_close(hint_loss(right, left), hint_loss(right, averaged))


def test_attention_is_the_distance_of_unit_vectors_of_squared_activations():
    left, right = drawn(3, 4, 2, 2), drawn(3, 2, 2, 2)
    total = 0.0
    for a, b in zip(left, right, strict=True):
        maps = []
        for each in (a, b):
            squares = [sum(float(each[k, i, j]) ** 2 for k in range(len(each))) for i in (0, 1) for j in (0, 1)]
            length = math.sqrt(sum(value**2 for value in squares))
            maps.append([value / length for value in squares])
        total += sum((p - q) ** 2 for p, q in zip(*maps, strict=True))
    assert attention_transfer(left, right).item() == pytest.approx(total / 3, rel=1e-12)


def test_attention_looks_at_places_and_not_at_sizes_or_channels():
    left = drawn(3, 4, 2, 2)
    assert attention_transfer(7 * left, left[:, [2, 0, 3, 1]]).item() == pytest.approx(0, abs=1e-12)
    here, there = torch.zeros(1, 1, 2, 2), torch.zeros(1, 1, 2, 2)
    here[0, 0, 0, 0] = there[0, 0, 1, 1] = 5.0
    assert attention_transfer(here, there).item() == pytest.approx(2)


def distances(features: torch.Tensor) -> list[list[float]]:
    return [[math.dist(a, b) for b in features.tolist()] for a in features.tolist()]


def test_distances_are_compared_in_units_of_their_mean():
    student, teacher = drawn(4, 3), 5 * drawn(4, 6)
    both = []
    for each in (student, teacher):
        found = distances(each)
        mean = sum(map(sum, found)) / (4 * 3)
        both.append([value / mean for row in found for value in row])
    expected = sum(huber(a - b) for a, b in zip(*both, strict=True)) / 16
    assert distance_relation(student, teacher).item() == pytest.approx(expected, rel=1e-10)
    assert distance_relation(9 * teacher, teacher).item() == pytest.approx(0, abs=1e-12)


def cosine(i: list[float], j: list[float], k: list[float]) -> float:
    a, b = ([x - y for x, y in zip(end, j, strict=True)] for end in (i, k))
    lengths = math.hypot(*a) * math.hypot(*b)
    return sum(x * y for x, y in zip(a, b, strict=True)) / lengths if lengths else 0.0


def test_angles_are_those_of_all_triples():
    student, teacher = drawn(4, 3), drawn(4, 6)
    s, t = student.tolist(), teacher.tolist()
    triples = [(i, j, k) for i in range(4) for j in range(4) for k in range(4)]
    expected = sum(huber(cosine(s[i], s[j], s[k]) - cosine(t[i], t[j], t[k])) for i, j, k in triples) / 64
    assert angle_relation(student, teacher).item() == pytest.approx(expected, rel=1e-10)


def test_relations_see_through_rotation_and_shift():
    teacher = drawn(5, 3)
    turned, _ = torch.linalg.qr(drawn(3, 3))
    moved = teacher @ turned + 4
    assert angle_relation(moved, teacher).item() == pytest.approx(0, abs=1e-12)
    assert distance_relation(moved, teacher).item() == pytest.approx(0, abs=1e-12)


@pytest.mark.parametrize("relation", [distance_relation, angle_relation])
def test_relations_keep_their_digits_far_from_zero(relation):
    student, teacher = (drawn(5, width).float() + 2e3 for width in (3, 6))
    exact = relation(student.double(), teacher.double()).item()
    assert exact > 0.01
    assert relation(student, teacher).item() == pytest.approx(exact, rel=1e-3)
