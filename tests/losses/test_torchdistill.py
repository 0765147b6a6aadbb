"""Losses of distillation against torchdistill's, where that is installed (the extra `peers`; it has no DKD)."""

from __future__ import annotations

from typing import Any

import pytest
import torch

from medical_transfer.losses.attention_transfer import attention_transfer
from medical_transfer.losses.dist import relations
from medical_transfer.losses.kd import soft_divergence, weighed
from medical_transfer.losses.logit_standardisation import standardised
from medical_transfer.losses.rkd import angle_relation, distance_relation

peer: Any = pytest.importorskip("torchdistill.losses.mid_level", reason="torchdistill is not installed (extra `peers`)")

PLACES = {
    "student_module_path": "a",
    "student_module_io": "output",
    "teacher_module_path": "a",
    "teacher_module_io": "output",
}
GENERATOR = torch.Generator().manual_seed(0)


def drawn(*shape: int) -> torch.Tensor:
    return 2 * torch.randn(*shape, dtype=torch.float64, generator=GENERATOR)


def theirs(loss: Any, student: torch.Tensor, teacher: torch.Tensor, **more: Any) -> torch.Tensor:
    found: torch.Tensor = loss({"a": {"output": student}}, {"a": {"output": teacher}}, **more)
    return found


@pytest.mark.parametrize("standard", [False, True])
@pytest.mark.parametrize("temperature", [1.0, 4.0])
def test_kd_with_labels(standard, temperature):
    student, teacher, labels_N = drawn(6, 5), drawn(6, 5), torch.tensor([0, 1, 2, 3, 4, 0])
    kind = peer.LogitStdKDLoss if standard else peer.KDLoss
    expected = theirs(kind(**PLACES, temperature=temperature, alpha=0.3), student, teacher, targets=labels_N)
    hard = torch.nn.functional.cross_entropy(student, labels_N)
    logits = (standardised(student), standardised(teacher)) if standard else (student, teacher)
    found = weighed(soft_divergence(*logits, temperature=temperature), hard, soft_weight=0.7)
    torch.testing.assert_close(found, expected, rtol=1e-6, atol=1e-9)


@pytest.mark.parametrize("temperature", [1.0, 4.0])
def test_dist(temperature):
    student, teacher = drawn(6, 5), drawn(6, 5)
    expected = theirs(peer.DISTLoss(**PLACES, beta=2.0, gamma=0.5, tau=temperature), student, teacher)
    found = relations(student, teacher, temperature=temperature, inter_weight=2.0, intra_weight=0.5)
    torch.testing.assert_close(found, expected, rtol=1e-9, atol=1e-9)


def test_relations_of_images():
    student, teacher = drawn(6, 5), drawn(6, 8)
    factors = {"dist_factor": 3.0, "angle_factor": 2.0}
    expected = theirs(peer.RKDLoss("a", "a", **factors, reduction="mean"), student, teacher)
    found = 3 * distance_relation(student, teacher) + 2 * angle_relation(student, teacher)
    torch.testing.assert_close(found, expected, rtol=1e-9, atol=1e-12)


def test_attention_is_theirs_summed_over_places():
    student, teacher = drawn(4, 6, 3, 3), drawn(4, 2, 3, 3)
    side = {"path": "a", "io": "output"}
    expected = theirs(peer.ATLoss({"pair": {"student": side, "teacher": side}}), student, teacher)
    torch.testing.assert_close(attention_transfer(student, teacher), 9 * expected, rtol=1e-9, atol=1e-12)
