"""The reversal's Jacobian is minus strength times one, whatever is asked of it: torch's finite differences say so."""

from __future__ import annotations

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from medical_transfer.layers.gradient_reversal import reverse_gradient


def rows(seed: int = 0) -> torch.Tensor:
    return torch.randn(4, 3, dtype=torch.float64, generator=torch.Generator().manual_seed(seed), requires_grad=True)


@settings(max_examples=30, deadline=None)
@given(st.floats(0, 5), st.integers(0, 2**31))
def test_forward_is_the_identity_and_backward_the_negated_jacobian(strength, seed):
    features = rows(seed)
    assert torch.equal(reverse_gradient(features, strength), features)
    jacobian = torch.autograd.functional.jacobian(lambda x: reverse_gradient(x, strength).flatten(), features)
    torch.testing.assert_close(jacobian.reshape(12, 12), -strength * torch.eye(12, dtype=torch.float64))


def test_gradcheck_of_the_reversal_undone():
    """Finite differences know nothing of a reversal: twice reversed, or negated after, a function has its own slope."""

    def undone(x: torch.Tensor) -> torch.Tensor:
        return reverse_gradient(reverse_gradient(x.sin(), 2.0), 0.5).exp()

    assert torch.autograd.gradcheck(undone, (rows(),))
    assert torch.autograd.gradgradcheck(undone, (rows(),))
    features = rows()
    (through,) = torch.autograd.grad(reverse_gradient(features.sin(), 0.7).exp().sum(), features)
    step = 1e-6
    with torch.no_grad():
        slope = ((features + step).sin().exp() - (features - step).sin().exp()) / (2 * step)
    torch.testing.assert_close(through, -0.7 * slope, rtol=1e-7, atol=1e-9)


def test_double_backward_by_hand():
    """d/dx sum R(x)^3 = -s 3 x^2 behind one reversal; differentiated again, the reversal of the inner R counts too."""
    x = torch.tensor([2.0], dtype=torch.float64, requires_grad=True)
    (first,) = torch.autograd.grad((reverse_gradient(x, 0.5) ** 3).sum(), x, create_graph=True)
    assert first.item() == pytest.approx(-0.5 * 3 * 4)
    (second,) = torch.autograd.grad(first.sum(), x)
    # first = -s 3 R(x)^2, whose own way back to x is reversed again: -s 3 2 x times -s
    assert second.item() == pytest.approx(0.5 * 0.5 * 3 * 2 * 2)


def test_strength_0_gives_exactly_nothing_even_of_an_infinite_gradient():
    features = rows()
    (reverse_gradient(features, 0.0) * math.inf).sum().backward()
    assert torch.equal(features.grad, torch.zeros(4, 3, dtype=torch.float64))


def test_only_the_reversed_branch_is_scaled():
    features = rows()
    (features.sum() + reverse_gradient(features, 0.25).sum()).backward()
    assert torch.equal(features.grad, torch.full((4, 3), 0.75, dtype=torch.float64))


def test_torchs_functional_transforms_go_through():
    features = rows().detach()
    per_row = torch.func.vmap(torch.func.grad(lambda x: reverse_gradient(x, 2.0).square().sum()))(features)
    torch.testing.assert_close(per_row, -4 * features)


@pytest.mark.parametrize("strength", [-0.1, math.nan, math.inf])
def test_a_strength_that_reverses_nothing_is_refused(strength):
    with pytest.raises(ValueError, match="finite number from 0"):
        reverse_gradient(rows(), strength)
