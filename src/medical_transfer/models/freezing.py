"""What of a network learns: the first stages are frozen up to a cut, the rest and the head are not.

Frozen means frozen: no gradient, and eval mode whatever `train()` says, so that neither parameters nor batch norm
statistics change by a bit and the activation at the cut may be cached.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Literal, NamedTuple, TypedDict

from torch import nn

from medical_transfer.models.classifier import Classifier
from medical_transfer.models.trunk import AnyTrunk
from medical_transfer.types import UserError

Strategy = Literal["all", "partial", "none"]


class ParameterRow(TypedDict):
    """Parameters of one stage: how many there are and how many learn."""

    stage: str
    trainable: int
    total: int


class Thaw(NamedTuple):
    """A stretch of gradual unfreezing: how many of the first stages stay frozen, and for how many epochs."""

    frozen: int
    epochs: int


def cut_of(trunk: AnyTrunk, strategy: Strategy, trainable_stages: int) -> int:
    """Number of frozen stages: all of them, all but the last `trainable_stages`, or none.

    Raises:
        UserError: where `partial` would freeze nothing, or something of a trunk that cannot learn is to learn.
    """
    stages = len(trunk.stage_names)
    if strategy != "all" and not trunk.learns:
        raise UserError(
            f"model.freeze is {strategy}, but this source {trunk.nature}, of which nothing can learn: "
            "set model.freeze=all or name another source in transferability.chosen."
        )
    if strategy == "partial" and trainable_stages >= stages:
        raise UserError(
            f"model.trainable_stages={trainable_stages} leaves nothing frozen: {trunk.architecture} has {stages} "
            f"stages ({', '.join(trunk.stage_names)}). Set it to at most {stages - 1}, or model.freeze to none."
        )
    return {"all": stages, "partial": stages - trainable_stages, "none": 0}[strategy]


def thaw_gradually(stages: int, cut: int, epochs: int) -> list[Thaw]:
    """Gradual unfreezing from the last of `stages` down to `cut` (Howard & Ruder 2018, ULMFiT, section 3.3).

    One more stage thaws in each stretch, and all stretches have equally many epochs; what does not divide goes to the
    last one, where all learns that may. Where more stages are to thaw than there are epochs, a stretch is one epoch
    and several stages thaw together, as evenly as whole numbers allow.

    Departure from the paper: there each stretch but the last is one epoch, and the last goes on until it converges.
    """
    stretches = min(stages - cut, epochs)
    frozen = [stages - number * (stages - cut) // stretches for number in range(1, stretches + 1)]
    each, left = divmod(epochs, stretches)
    return [Thaw(count, each + (left if count == cut else 0)) for count in frozen]


def freeze(classifier: Classifier, strategy: Strategy, trainable_stages: int) -> int:
    """Freeze by strategy, in place, and return the cut (the number of frozen stages).

    The chapter's `partial` (its `layer4` and the head of a ResNet) is `trainable_stages=1`.

    Raises:
        UserError: as `cut_of`.
    """
    cut = cut_of(classifier.trunk, strategy, trainable_stages)
    freeze_below(classifier, cut)
    return cut


def freeze_below(classifier: Classifier, cut: int) -> None:
    """Freeze the stages before `cut` and let all others and the head learn, in place; modes are set at once."""
    trunk = classifier.trunk
    trunk.frozen_stages = cut
    for index in range(len(trunk.stage_names)):
        for parameter in trunk.stage_parameters(index).values():
            parameter.requires_grad_(index >= cut)
    classifier.head.requires_grad_(True)  # noqa: FBT003 - torch's signature
    classifier.train(classifier.training)


def parameter_table(classifier: Classifier) -> list[ParameterRow]:
    """Trainable and total parameters of each stage, from the stem to the head."""
    trunk = classifier.trunk
    rows = [
        _row(name, trunk.stage_parameters(index).values(), trunk.stage_size(index))
        for index, name in enumerate(trunk.stage_names)
    ]
    head = list(classifier.head.parameters())
    return [*rows, _row("head", head, sum(parameter.numel() for parameter in head))]


def _row(stage: str, parameters: Iterable[nn.Parameter], total: int) -> ParameterRow:
    trainable = sum(parameter.numel() for parameter in parameters if parameter.requires_grad)
    return ParameterRow(stage=stage, trainable=trainable, total=total)
