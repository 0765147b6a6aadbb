"""FixMatch's and AdaMatch's formulas, image by image and by hand."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.special import log_softmax, softmax

from medical_transfer.losses.pseudo_labels import (
    adamatch,
    aligned_probabilities,
    confident,
    fixmatch,
    relative_threshold,
)

views = st.tuples(st.integers(0, 2**32 - 1), st.integers(1, 10), st.integers(2, 5))


def draw(seed: int, images: int, classes: int) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    return rng.normal(0, 3, (images, classes)), rng.normal(0, 3, (images, classes))


@settings(max_examples=50, deadline=None)
@given(views, st.floats(0, 1))
def test_fixmatch_against_a_loop(shape, threshold):
    weak, strong = draw(*shape)
    total = 0.0
    for q, p in zip(softmax(weak, axis=1), log_softmax(strong, axis=1), strict=True):
        total += -p[q.argmax()] if q.max() >= threshold else 0.0
    found = fixmatch(torch.from_numpy(weak), torch.from_numpy(strong), threshold=threshold)
    assert float(found) == pytest.approx(total / len(weak))


def test_an_unsure_image_counts_in_the_divisor_only():
    weak = torch.tensor([[9.0, 0.0], [0.1, 0.0]])
    strong = torch.zeros(2, 2, requires_grad=True)
    loss = fixmatch(weak, strong)
    assert loss.item() == pytest.approx(math.log(2) / 2)
    loss.backward()
    assert not strong.grad[1].any()
    assert strong.grad[0, 0] < 0, "towards the weak view's class"


@settings(max_examples=50, deadline=None)
@given(views, st.integers(0, 2**32 - 1))
def test_alignment_against_the_papers_formula(shape, seed):
    weak, other = draw(*shape)
    target, source_mean = softmax(weak, axis=1), np.random.default_rng(seed).dirichlet(np.ones(weak.shape[1]))
    target_mean = softmax(other, axis=1).mean(axis=0)
    raised = target * source_mean / target_mean
    found = aligned_probabilities(
        torch.from_numpy(target),
        source_mean_C=torch.from_numpy(source_mean),
        target_mean_C=torch.from_numpy(target_mean),
    )
    np.testing.assert_allclose(found, raised / raised.sum(axis=1, keepdims=True), rtol=1e-9)


def test_alignment_by_hand_equal_means_change_nothing_and_an_unseen_class_is_no_nan():
    target = torch.tensor([[0.6, 0.4], [0.2, 0.8]], dtype=torch.float64)
    mean = target.mean(dim=0)
    torch.testing.assert_close(aligned_probabilities(target, source_mean_C=mean, target_mean_C=mean), target)
    # source says 3 : 1 where the target says 1 : 1: odds are tripled, 3/2 -> 9/2
    lifted = aligned_probabilities(
        target[:1], source_mean_C=torch.tensor([0.75, 0.25]), target_mean_C=torch.tensor([0.5, 0.5])
    )
    torch.testing.assert_close(lifted, torch.tensor([[9 / 11, 2 / 11]], dtype=torch.float64))
    one_class = torch.tensor([[1.0, 0.0]])
    found = aligned_probabilities(one_class, source_mean_C=torch.tensor([0.5, 0.5]), target_mean_C=one_class[0])
    assert torch.equal(found, one_class)


def test_the_threshold_follows_the_sources_confidence():
    source = torch.tensor([[0.9, 0.1], [0.3, 0.7]], requires_grad=True)
    threshold = relative_threshold(source)
    assert threshold.item() == pytest.approx(0.9 * 0.8)
    assert not threshold.requires_grad
    assert confident(torch.tensor([[0.73, 0.27], [0.71, 0.29], [0.28, 0.72]]), 0.72).tolist() == [True, False, True]


def test_an_image_at_the_threshold_counts():
    assert confident(torch.tensor([[0.5, 0.5], [0.75, 0.25]]), 0.75).tolist() == [False, True]


@settings(max_examples=50, deadline=None)
@given(views, st.floats(0, 1))
def test_adamatch_against_a_loop(shape, threshold):
    weak, strong = draw(*shape)
    targets = softmax(weak, axis=1)
    total = 0.0
    for q, p in zip(targets, log_softmax(strong, axis=1), strict=True):
        total += -(q @ p) if q.max() >= threshold else 0.0
    mask = confident(torch.from_numpy(targets), threshold)
    found = adamatch(torch.from_numpy(targets), torch.from_numpy(strong), mask)
    assert float(found) == pytest.approx(total / len(weak))


def test_no_gradient_goes_through_adamatchs_targets():
    targets = torch.tensor([[0.8, 0.2]], requires_grad=True)
    strong = torch.tensor([[0.5, -0.5]], requires_grad=True)
    adamatch(targets, strong, torch.tensor([True])).backward()
    assert strong.grad.any()
    assert targets.grad is None
