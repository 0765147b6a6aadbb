"""A trained model as two files: tensors in safetensors and a card in JSON. Nothing in it is ever unpickled.

A trunk that is an ONNX graph lies among the tensors, as bytes. Of several sources side by side all tensors are there,
and the card says of each what rebuilds it.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import torch
from torch import Tensor

from medical_transfer.models.architectures import behead, build_architecture
from medical_transfer.models.card import (
    WEIGHTS_FILE,
    MemberCard,
    ModelCard,
    read_card_of_whole,
    remedy,
    write_card,
)
from medical_transfer.models.classifier import Classifier, build_classifier
from medical_transfer.models.fused_trunk import FusedTrunk, Member
from medical_transfer.models.graph_trunk import GraphTrunk
from medical_transfer.models.source import Fused
from medical_transfer.models.stages import Trunk
from medical_transfer.models.state_fit import fit_state
from medical_transfer.models.trunk import AnyTrunk
from medical_transfer.models.weight_files import read_tensors, write_tensors
from medical_transfer.models.weights import Graph
from medical_transfer.runtime.files import sha256_of
from medical_transfer.types import UserError

_GRAPH = "graph"
"""Name, in its trunk, of the tensor that holds a graph's bytes."""


def save_checkpoint(folder: Path, classifier: Classifier, card: ModelCard) -> ModelCard:
    """Write `model.safetensors` and then `model.json`, each whole or not at all; return the card with both checksums.

    Raises:
        ValueError: where the card names another architecture than the model has.
    """
    trunk = classifier.trunk
    named = (card.architecture, *(member.architecture for member in card.members))
    found = (trunk.architecture, *(each.architecture for each in _trunks_in(trunk)))
    if named != found:
        raise ValueError(f"card of {', '.join(named)} for a model of {', '.join(found)}")
    write_tensors(classifier, folder / WEIGHTS_FILE)
    facts = {"sha256": sha256_of(folder / WEIGHTS_FILE), "graph_output": trunk.graph_output}
    return write_card(folder, card.model_copy(update={**facts, "features": trunk.feature_dim}))


def load_checkpoint(folder: Path) -> tuple[Classifier, ModelCard]:
    """Rebuild a saved model, in eval mode, with its card; the source's own weights are not needed.

    Raises:
        UserError: where a file is missing, was changed since it was saved, or does not fit the card's architecture
            as the installed libraries build it (naming the first three mismatches).
    """
    card, path = read_card_of_whole(folder), folder / WEIGHTS_FILE
    tensors = read_tensors(path)
    classifier = blank_classifier(card, tensors)
    saved_by = ", ".join(f"{name} {version}" for name, version in card.versions.items())
    advice = f"It was saved by {saved_by}: install those, or {remedy(folder)}"
    fit_state(classifier, tensors, origin=str(path), advice=advice)
    return classifier.eval(), card


def blank_classifier(card: ModelCard, tensors: Mapping[str, Tensor]) -> Classifier:
    """Build the untrained network that a card describes; of `tensors` only graphs are looked at.

    Raises:
        UserError: where no such architecture or head exists here, or a graph is missing.
    """
    return build_classifier(
        _blank_trunk(card, tensors),
        card.preprocessing,
        head=card.head,
        dropout=card.dropout,
        classes=len(card.classes),
        seed=0,
    )


def _blank_trunk(card: ModelCard, tensors: Mapping[str, Tensor]) -> AnyTrunk:
    if card.architecture != Fused.architecture:
        return _blank_single(card, tensors, "trunk")
    places = [f"trunk.members.{number}.trunk" for number in range(len(card.members))]
    trunks = [_blank_single(each, tensors, place) for each, place in zip(card.members, places, strict=True)]
    return FusedTrunk([Member(trunk, m.preprocessing) for trunk, m in zip(trunks, card.members, strict=True)])


def _blank_single(card: ModelCard | MemberCard, tensors: Mapping[str, Tensor], place: str) -> AnyTrunk:
    """The trunk of one source, of which the tensors begin with `place`."""
    if card.architecture != Graph.architecture:
        return Trunk(card.architecture, behead(build_architecture(card.architecture)))
    name, output = f"{place}.{_GRAPH}", card.graph_output
    graph = tensors.get(name)
    if graph is None or graph.dtype != torch.uint8 or output is None:
        found = f"graph_output {output!r} and {'no ' if graph is None else ''}tensor {name} of bytes"
        raise UserError(
            f"The model of {card.source} is said to be a graph, expected its bytes and the name of an output, found "
            f"{found}: was the card or the file edited? Train it again."
        )
    return GraphTrunk(graph, output=output, side=card.preprocessing.size, origin=f"The graph of {card.source}")


def _trunks_in(trunk: AnyTrunk) -> tuple[AnyTrunk, ...]:
    return trunk.trunks if isinstance(trunk, FusedTrunk) else ()
