"""The domain loss against numpy and the chapter's sum; CDAN+E's weights, by hand and reversed."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from scipy.special import log_softmax, softmax
from scipy.stats import entropy
from torch.nn import functional

from medical_transfer.layers.gradient_reversal import reverse_gradient
from medical_transfer.losses.cdan import conditional_domain_confusion, entropy_weights
from medical_transfer.losses.domain_confusion import domain_confusion


def logits(rows: int, seed: int, classes: int = 2) -> torch.Tensor:
    return torch.from_numpy(np.random.default_rng(seed).normal(0, 2, (rows, classes)))


def test_source_is_0_and_target_1_and_each_domain_counts_alike():
    source, target = logits(3, 0), logits(8, 1)
    source_loss = -log_softmax(source.numpy(), axis=1)[:, 0].mean()
    target_loss = -log_softmax(target.numpy(), axis=1)[:, 1].mean()
    assert float(domain_confusion(source, target)) == pytest.approx((source_loss + target_loss) / 2)
    assert float(domain_confusion(source, target, halves="sum")) == pytest.approx(source_loss + target_loss)


def test_the_chapters_lines():
    source_domain, target_domain = logits(3, 0), logits(8, 1)
    source_domain_loss = functional.cross_entropy(source_domain, torch.zeros(3, dtype=torch.long))
    target_domain_loss = functional.cross_entropy(target_domain, torch.ones(8, dtype=torch.long))
    found = domain_confusion(source_domain, target_domain, halves="sum")
    torch.testing.assert_close(found, source_domain_loss + target_domain_loss)


def test_a_discriminator_that_knows_nothing_and_one_that_knows():
    assert float(domain_confusion(torch.zeros(4, 2), torch.zeros(3, 2))) == pytest.approx(math.log(2))
    source, target = torch.tensor([[20.0, -20.0]]), torch.tensor([[-20.0, 20.0]])
    assert float(domain_confusion(source, target)) == pytest.approx(0, abs=1e-12)
    assert float(domain_confusion(target, source)) == pytest.approx(40)


def test_weights_by_the_papers_formula():
    classes = logits(6, 2, classes=4)
    expected = 1 + np.exp(-entropy(softmax(classes.numpy(), axis=1), axis=1))
    np.testing.assert_allclose(entropy_weights(classes), expected)
    assert entropy_weights(torch.zeros(1, 4)).item() == pytest.approx(1 + 1 / 4)
    assert entropy_weights(torch.tensor([[900.0, 0.0, 0.0]])).item() == pytest.approx(2)


def test_the_conditional_loss_is_the_weighted_expectation():
    source, target, source_weights, target_weights = logits(3, 0), logits(8, 1), torch.rand(3) + 1, torch.rand(8) + 1
    found = conditional_domain_confusion(
        source, target, source_weights_N=source_weights, target_weights_M=target_weights, halves="sum"
    )
    source_loss = -log_softmax(source.numpy(), axis=1)[:, 0] @ source_weights.double().numpy() / 3
    target_loss = -log_softmax(target.numpy(), axis=1)[:, 1] @ target_weights.double().numpy() / 8
    assert float(found) == pytest.approx(source_loss + target_loss, rel=1e-6)
    ones = conditional_domain_confusion(source, target, source_weights_N=torch.ones(3), target_weights_M=torch.ones(8))
    torch.testing.assert_close(ones, domain_confusion(source, target))


def test_what_goes_through_the_weights_is_reversed_too():
    """The network ascends the loss through the weights as through the features: minus strength times the slope."""
    domain, classes = logits(5, 0), logits(5, 1, classes=3)

    def loss(domain_logits, class_logits):
        return conditional_domain_confusion(
            domain_logits[:2],
            domain_logits[2:],
            source_weights_N=entropy_weights(class_logits[:2]),
            target_weights_M=entropy_weights(class_logits[2:]),
        )

    plain = torch.autograd.functional.jacobian(lambda c: loss(domain, c), classes)
    through = torch.autograd.functional.jacobian(lambda c: loss(domain, reverse_gradient(c, 0.3)), classes)
    assert plain.abs().max() > 1e-3
    torch.testing.assert_close(through, -0.3 * plain)
