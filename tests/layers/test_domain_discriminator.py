"""Widths of the chapter; the discriminator learns at the full rate whatever the reversal does."""

from __future__ import annotations

import pytest
import torch

from medical_transfer.layers.domain_discriminator import DomainDiscriminator
from medical_transfer.losses.domain_confusion import domain_confusion


def test_the_chapters_widths():
    chapter = [(256, 1024), (256,), (2, 256), (2,)]
    assert [tuple(p.shape) for p in DomainDiscriminator(1024, seed=0).parameters()] == chapter
    assert [tuple(p.shape) for p in DomainDiscriminator(7, seed=0, hidden=5).parameters()] == [
        (5, 7),
        (5,),
        (2, 5),
        (2,),
    ]


def test_the_seed_alone_decides_and_the_global_stream_stays():
    torch.manual_seed(3)
    expected = torch.rand(1)
    torch.manual_seed(3)
    first, second, other = (DomainDiscriminator(6, seed=seed) for seed in (1, 1, 2))
    assert torch.equal(torch.rand(1), expected)
    assert torch.equal(first.layers[0].weight, second.layers[0].weight)
    assert not torch.equal(first.layers[0].weight, other.layers[0].weight)


def test_it_gives_logits_not_probabilities():
    """A last layer ten times as large gives numbers ten times as large, whatever their sum."""
    discriminator, features = DomainDiscriminator(6, seed=0).eval(), torch.randn(4, 6)
    before = discriminator(features, 1.0)
    with torch.no_grad():
        for parameter in list(discriminator.parameters())[-2:]:
            parameter.mul_(10)
    torch.testing.assert_close(discriminator(features, 1.0), 10 * before)


def gradients(strength: float) -> tuple[list[torch.Tensor], torch.Tensor]:
    """Of the discriminator's parameters, and of the features before it."""
    discriminator = DomainDiscriminator(6, seed=0, dropout=0.0).double()
    features = torch.randn(9, 6, dtype=torch.float64, generator=torch.Generator().manual_seed(1), requires_grad=True)
    logits = discriminator(features, strength)
    domain_confusion(logits[:4], logits[4:]).backward()
    return [p.grad for p in discriminator.parameters()], features.grad


@pytest.mark.parametrize("strength", [0.0, 0.3, 1.0])
def test_its_own_gradient_is_full_from_step_one_and_the_features_is_scaled(strength):
    full, at_one = gradients(1.0)
    own, before = gradients(strength)
    for gradient, expected in zip(own, full, strict=True):
        assert torch.equal(gradient, expected)
        assert gradient.abs().max() > 0
    torch.testing.assert_close(before, strength * at_one)
    assert strength > 0 or not before.any()


def test_it_descends_what_the_features_ascend():
    """A step of each along its gradient: the discriminator's lowers the loss, the features' raises it."""
    discriminator = DomainDiscriminator(6, seed=0, dropout=0.0).double()
    features = torch.randn(9, 6, dtype=torch.float64, generator=torch.Generator().manual_seed(1), requires_grad=True)

    def loss() -> torch.Tensor:
        logits = discriminator(features, 1.0)
        return domain_confusion(logits[:4], logits[4:])

    before = loss()
    before.backward()
    with torch.no_grad():
        features -= 0.01 * features.grad
        assert loss() > before
        features += 0.01 * features.grad
        for parameter in discriminator.parameters():
            parameter.sub_(0.01 * parameter.grad)
        assert loss() < before
