"""Fast weights: a few steps of gradient descent from given weights, through which a gradient can go back.

Source: Finn, Abbeel & Levine 2017, "Model-Agnostic Meta-Learning for Fast Adaptation of Deep Networks", eq. 1:
theta' = theta - alpha grad L(theta), repeated. Nothing is changed in place: the network keeps its own weights.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any

import torch
from torch import Tensor, nn
from torch.func import functional_call, grad, vmap
from torch.utils._pytree import tree_flatten, tree_unflatten  # torch has no public name for it

Weights = dict[str, Tensor]


def weights_of(network: nn.Module, *, within: str = "") -> Weights:
    """The parameters of a network by name; `within` keeps those of one of its parts, by full name."""
    return {name: parameter for name, parameter in network.named_parameters() if name.startswith(within)}


def run(network: nn.Module, weights: Mapping[str, Tensor], *arguments: Any) -> Tensor:
    """What a network gives under other weights; those that are not named are its own."""
    result: Tensor = functional_call(network, dict(weights), arguments)
    return result


def descend(
    loss: Callable[[Weights], Tensor],
    weights: Mapping[str, Tensor],
    *,
    steps: int,
    learning_rate: float,
    first_order: bool = False,
) -> Iterator[Weights]:
    """The weights as they are, and after each step.

    Args:
        loss: of weights, a scalar.
        weights: where to begin.
        steps: how many steps; 0: only the beginning.
        learning_rate: alpha.
        first_order: leave out what a change of the weights would do to the gradients of the steps (FOMAML).

    Raises:
        ValueError: where the learning rate is not positive or the steps are negative.
    """
    if not learning_rate > 0 or steps < 0:
        raise ValueError(f"{steps} steps at rate {learning_rate}: steps from 0 and a rate above 0 are expected")
    now = dict(weights)
    yield now
    for _ in range(steps):
        at = {name: weight.detach() for name, weight in now.items()} if first_order else now
        slope = grad(loss)(at)
        if first_order:
            slope = {name: each.detach() for name, each in slope.items()}
        now = {name: weight - learning_rate * slope[name] for name, weight in now.items()}
        yield now


def adapted(loss: Callable[[Weights], Tensor], weights: Mapping[str, Tensor], **descent: Any) -> Weights:
    """The weights after the last step of `descend`."""
    now = dict(weights)
    for now in descend(loss, weights, **descent):  # noqa: B007 - the last one is wanted
        pass
    return now


def each_task(of_one: Callable[[Any], Any], stacked: Any, *, together: bool) -> Any:
    """What a function of one task gives for each of T stacked ones, stacked.

    Together by `vmap`, which pays for networks of a few small layers; or one after the other: convolutions whose
    weights differ between tasks are not faster side by side on a CPU.
    """
    if together:
        return vmap(of_one, randomness="error")(stacked)
    leaves, tree = tree_flatten(stacked)
    results = [of_one(tree_unflatten(list(each), tree)) for each in zip(*leaves, strict=True)]
    parts, shape = zip(*(tree_flatten(each) for each in results), strict=True)
    return tree_unflatten([torch.stack(each) for each in zip(*parts, strict=True)], shape[0])
