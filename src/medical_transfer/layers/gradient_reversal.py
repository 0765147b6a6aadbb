"""Gradient reversal: the identity forward, minus `strength` times the gradient backward.

What stands behind it (a domain discriminator) descends its loss at the full rate; what stands before it (the trunk)
ascends the same loss, `strength` times as fast. Source: Ganin et al. 2016, "Domain-Adversarial Training of Neural
Networks", section 4.2: R(x) = x, dR/dx = -I; the strength stands in the layer, as in the authors' own code and in the
chapter (3.2).
"""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import Tensor


def reverse_gradient(features: Tensor, strength: float) -> Tensor:
    """Return `features` (any shape); their gradient comes back times -`strength`.

    Strength 0 gives a gradient of exactly zero, also where the gradient is infinite (an overflow in half precision).
    Derivatives of any order go through it.

    Raises:
        ValueError: `strength` is negative or not finite; a negative one would help the discriminator.
    """
    if not (math.isfinite(strength) and strength >= 0):
        raise ValueError(f"the strength of a gradient reversal is a finite number from 0, not {strength}")
    reversed_: Tensor = _Reversal.apply(features, strength)
    return reversed_


class _Reversal(torch.autograd.Function):
    generate_vmap_rule = True

    @staticmethod
    def forward(features: Tensor, strength: float) -> Tensor:  # noqa: ARG004 - used backward
        return features.view_as(features)  # not the tensor itself: autograd would take it for changed in place

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Tensor, float], output: Tensor) -> None:  # noqa: ARG004 - torch's signature
        ctx.strength = inputs[1]

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, None]:
        if ctx.strength == 0:
            return torch.zeros_like(gradient), None
        return -ctx.strength * gradient, None
