"""Which source's layers are compared: one that has several stages with an activation between them.

Looking it up reads no weights. Whether a network can be cut is a fact of its architecture, so all that can be wrong is
known before an image is read.
"""

from __future__ import annotations

from collections.abc import Sequence

from medical_transfer.config.backbones import Backbones
from medical_transfer.models.backbones import find_source
from medical_transfer.models.source import Fused, Source
from medical_transfer.models.weights import Untrained
from medical_transfer.types import UserError


def layered_source(named: str | None, competing: Sequence[str], backbones: Backbones) -> Source:
    """The source of that name, or the first of those that compete that has layers to choose between.

    A pretrained one goes before an untrained one: the question is where pretraining turns specific.

    Args:
        named: `layer_choice.source`.
        competing: `transferability.sources`, which are asked where nothing is named.
        backbones: where sources are looked up.

    Raises:
        UserError: the source is unknown, only a graph, or runs only as a whole; or all that compete are graphs.
    """
    source = find_source(named, backbones) if named is not None else _first(competing, backbones)
    _check_layers(source)
    return source


def _first(competing: Sequence[str], backbones: Backbones) -> Source:
    trainable = [source for source in (find_source(name, backbones) for name in competing) if source.trainable]
    if not trainable:
        raise UserError(
            f"All of transferability.sources ({', '.join(competing)}) exist only as ONNX graphs, which have one stage "
            "and no layers to choose between: name a source of layers in layer_choice.source."
        )
    return min(trainable, key=lambda source: isinstance(source.weights, Untrained))


def _check_layers(source: Source) -> None:
    if not source.trainable:
        fused = isinstance(source.weights, Fused)
        nature = "is several sources side by side" if fused else "exists only as an ONNX graph"
        raise UserError(
            f"Source {source.name} {nature}, which has one stage and no layers to choose between: "
            "name a source of layers in layer_choice.source."
        )
    from medical_transfer.models.derived_plan import plan_of  # noqa: PLC0415 - torch

    plan = plan_of(source.architecture)
    if not plan.cuttable or len(plan.stages) < 2:
        raise UserError(
            f"Source {source.name} ({source.architecture}) runs only as a whole: there is no activation between its "
            "stages to be scored. Name a source that can be cut, such as a ResNet or an EfficientNet, in "
            "layer_choice.source."
        )
