"""Discriminative learning rates (Howard & Ruder 2018, ULMFiT, section 3.2): the lower a stage, the slower it learns.

The head learns at the base rate, the last stage of the trunk at base / 2.6, the one before at base / 2.6^2, and so on:
a stage's rate depends on its place alone, not on what is frozen. Departure from the chapter's section 2.2: its groups
leave out the stem and the first norm; here every trainable parameter is in exactly one group.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import TypedDict

from torch import nn

from medical_transfer.models.classifier import Classifier

MULTIPLIER = 2.6


class ParameterGroup(TypedDict):
    """A parameter group as torch's optimizers take it; `name` is the stage, with `/no_decay` where decay is off."""

    name: str
    params: list[nn.Parameter]
    lr: float
    weight_decay: float


def parameter_groups(
    classifier: Classifier,
    *,
    base_rate: float,
    multiplier: float = MULTIPLIER,
    weight_decay: float = 0.0,
) -> list[ParameterGroup]:
    """Parameter groups of all that learns, from the lowest stage to the head.

    Args:
        classifier: parameters without gradient are left out, and so are groups that would be empty.
        base_rate: learning rate of the head.
        multiplier: ratio of the rates of neighbouring stages; 1 gives one rate for all.
        weight_decay: of matrices and kernels; norms and biases (tensors of one dimension) do not decay.
    """
    trunk = classifier.trunk
    stages: list[tuple[str, Iterable[nn.Parameter]]] = [
        (name, trunk.stage_parameters(index).values()) for index, name in enumerate(trunk.stage_names)
    ]
    stages.append(("head", classifier.head.parameters()))
    groups = []
    taken: set[int] = set()
    for distance, (name, parameters) in zip(range(len(stages) - 1, -1, -1), stages, strict=True):
        rate = base_rate / multiplier**distance
        learning = _take(parameters, taken)
        vectors = [p for p in learning if p.ndim <= 1]
        others = [p for p in learning if p.ndim > 1]
        groups.append(ParameterGroup(name=name, params=others, lr=rate, weight_decay=weight_decay))
        groups.append(ParameterGroup(name=f"{name}/no_decay", params=vectors, lr=rate, weight_decay=0.0))
    return [group for group in groups if group["params"]]


def _take(parameters: Iterable[nn.Parameter], taken: set[int]) -> list[nn.Parameter]:
    """Those that learn and that no lower stage has: tied weights belong to the first stage that holds them."""
    mine = [p for p in parameters if p.requires_grad and id(p) not in taken]
    taken.update(id(p) for p in mine)
    return mine
