"""Fast weights: the gradient through the inner loop against finite differences, closed forms and a peer library."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn import functional

from medical_transfer.layers.class_means import imprinted, nearest_mean
from medical_transfer.layers.fast_weights import adapted, descend, each_task, run, weights_of
from medical_transfer.layers.support_norm import SupportNorm

RATE = 0.3


def small_net(seed: int = 0) -> nn.Sequential:
    torch.manual_seed(seed)
    return nn.Sequential(nn.Linear(3, 4), nn.Tanh(), nn.Linear(4, 2)).double()


def data(seed: int = 1, n: int = 6) -> tuple[torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(n, 3, generator=generator, dtype=torch.double), torch.arange(n) % 2


def query_loss(net: nn.Module, *, steps: int = 3, first_order: bool = False) -> torch.Tensor:
    (known, labels), (asked, truth) = data(1), data(2)

    def loss(weights):
        return functional.cross_entropy(run(net, weights, known), labels)

    fast = adapted(loss, weights_of(net), steps=steps, learning_rate=RATE, first_order=first_order)
    return functional.cross_entropy(run(net, fast, asked), truth)


def gradient(net: nn.Module, **options) -> torch.Tensor:
    return torch.cat([each.flatten() for each in torch.autograd.grad(query_loss(net, **options), net.parameters())])


def test_the_meta_gradient_is_that_of_finite_differences():
    net, step = small_net(), 1e-6
    found = gradient(net)
    numbers = nn.utils.parameters_to_vector(net.parameters()).detach()
    expected = torch.zeros_like(numbers)
    for place in range(len(numbers)):
        sides = []
        for sign in (1, -1):
            moved = numbers.clone()
            moved[place] += sign * step
            nn.utils.vector_to_parameters(moved, net.parameters())
            sides.append(query_loss(net).item())
        expected[place] = (sides[0] - sides[1]) / (2 * step)
    torch.testing.assert_close(found, expected, rtol=1e-6, atol=1e-8)


def test_of_a_parabola_each_order_is_known():
    """L(w) = a w^2 / 2, query loss w'^2 / 2: w' = (1 - r a)^n w; second order (1 - r a)^2n w, first (1 - r a)^n w."""
    weight, curvature, steps = torch.tensor(2.0, dtype=torch.double, requires_grad=True), 0.7, 3
    shrink = (1 - RATE * curvature) ** steps

    def loss(weights):
        return curvature * weights["w"] ** 2 / 2

    for first_order, expected in ((False, shrink**2 * 2), (True, shrink * 2)):
        ends = adapted(loss, {"w": weight}, steps=steps, learning_rate=RATE, first_order=first_order)["w"]
        (found,) = torch.autograd.grad(ends**2 / 2, weight)
        assert ends.item() == pytest.approx(shrink * 2)
        assert found.item() == pytest.approx(expected)


def test_first_order_is_the_gradient_at_the_adapted_weights():
    net = small_net()
    (known, labels), (asked, truth) = data(1), data(2)
    copy = small_net()
    for _ in range(3):
        slopes = torch.autograd.grad(functional.cross_entropy(copy(known), labels), list(copy.parameters()))
        with torch.no_grad():
            for parameter, slope in zip(copy.parameters(), slopes, strict=True):
                parameter.sub_(RATE * slope)
    plain = torch.autograd.grad(functional.cross_entropy(copy(asked), truth), list(copy.parameters()))
    expected = torch.cat([each.flatten() for each in plain])
    torch.testing.assert_close(gradient(net, first_order=True), expected)
    assert not torch.allclose(gradient(net), expected)


def test_no_steps_are_plain_supervised_training():
    net = small_net()
    asked, truth = data(2)
    plain = torch.autograd.grad(functional.cross_entropy(net(asked), truth), list(net.parameters()))
    torch.testing.assert_close(gradient(net, steps=0), torch.cat([each.flatten() for each in plain]))


def test_the_network_itself_stays_as_it_is():
    net = small_net()
    before = [each.clone() for each in net.parameters()]
    query_loss(net).backward()
    assert all(torch.equal(one, other) for one, other in zip(before, net.parameters(), strict=True))


@pytest.mark.parametrize("options", [{"steps": 1, "learning_rate": 0.0}, {"steps": -1, "learning_rate": 0.1}])
def test_impossible_steps_are_refused(options):
    with pytest.raises(ValueError, match="expected"):
        list(descend(lambda weights: weights["w"] ** 2, {"w": torch.tensor(1.0)}, **options))


def test_tasks_together_are_tasks_one_by_one():
    net = small_net()
    stacked = {"x": torch.stack([data(seed)[0] for seed in range(3)]), "y": torch.stack([data(0)[1]] * 3)}

    def of_one(task):
        def loss(weights):
            return functional.cross_entropy(run(net, weights, task["x"]), task["y"])

        return loss(adapted(loss, weights_of(net), steps=2, learning_rate=RATE))

    together, alone = (each_task(of_one, stacked, together=together) for together in (True, False))
    torch.testing.assert_close(together, alone)
    slopes = [torch.autograd.grad(each.sum(), list(net.parameters())) for each in (together, alone)]
    for one, other in zip(*slopes, strict=True):
        torch.testing.assert_close(one, other)


def test_agrees_with_higher():
    higher = pytest.importorskip("higher")
    net = small_net()
    (known, labels), (asked, truth) = data(1), data(2)
    optimizer = torch.optim.SGD(net.parameters(), lr=RATE)
    with higher.innerloop_ctx(net, optimizer, copy_initial_weights=False) as (fast, steps):
        for _ in range(3):
            steps.step(functional.cross_entropy(fast(known), labels))
        theirs = torch.autograd.grad(functional.cross_entropy(fast(asked), truth), list(net.parameters()))
    torch.testing.assert_close(gradient(net), torch.cat([each.flatten() for each in theirs]))


def test_queries_do_not_move_the_norm():
    norm = SupportNorm(2)
    generator = torch.Generator().manual_seed(0)
    known, one, other = (torch.randn(n, 2, 3, 3, generator=generator) for n in (4, 5, 5))
    with_one, with_other = (norm(torch.cat([known, query]), 4) for query in (one, other))
    torch.testing.assert_close(with_one[:4], with_other[:4])
    torch.testing.assert_close(with_one[:4], norm(known, 4), rtol=1e-5, atol=1e-5)
    torch.testing.assert_close(norm(torch.cat([known, one, other]), 4)[4:9], with_one[4:])
    by_hand = (one - known.mean(dim=(0, 2, 3), keepdim=True)) / (
        known.var(dim=(0, 2, 3), correction=0, keepdim=True) + 1e-5
    ).sqrt()
    torch.testing.assert_close(with_one[4:], by_hand)
    assert not list(norm.buffers())


def test_class_means_answer_as_by_hand():
    known = torch.tensor([[0.0, 0.0], [2.0, 0.0], [0.0, 4.0], [0.0, 6.0]])
    asked = torch.tensor([[1.0, 1.0], [0.0, 4.0]])
    # means (1, 0) and (0, 5)
    torch.testing.assert_close(nearest_mean(known, asked, ways=2), -torch.tensor([[1.0, 17.0], [17.0, 1.0]]))
    found = imprinted(known, asked, ways=2).numpy()
    centre = known.numpy().mean(axis=0)
    unit = lambda rows: rows / np.linalg.norm(rows, axis=-1, keepdims=True)  # noqa: E731 - a formula
    rows, queries = unit(known.numpy() - centre), unit(asked.numpy() - centre)
    means = unit(np.stack([rows[:2].mean(axis=0), rows[2:].mean(axis=0)]))
    np.testing.assert_allclose(found, 10 * queries @ means.T, rtol=1e-5)
