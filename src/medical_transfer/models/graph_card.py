"""What a shipped graph says of itself: all that a program needs that has nothing but the file.

It stands in the graph's own metadata, a text per field, each of them JSON. No torch, no onnxruntime.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Literal

from pydantic import ValidationError

from medical_transfer.config.augmentation import Symmetry
from medical_transfer.config.base import Block
from medical_transfer.models.card import ModelCard
from medical_transfer.models.preprocessing import Preprocessing
from medical_transfer.types import UserError

PIXELS, PROBABILITIES = "pixels", "probabilities"
"""Names of the graph's input and output."""

Precision = Literal["float32", "int8"]


class Picture(Block):
    """What an image must be before it is given to the graph; the rest happens inside."""

    size: int
    """Side in pixels."""
    fit: Literal["squash", "pad"]
    """How an oblong image becomes square: stretched, or shrunk to fit and centred on black."""
    resize: str = "bicubic with antialiasing (Pillow's BICUBIC)"
    channels: str = "RGB"
    """Grey is repeated, transparency is laid on black, EXIF orientation is applied first."""
    layout: str = "N, height, width, channel"
    dtype: str = "uint8"


class GraphCard(Block):
    """The facts that travel inside an exported graph."""

    format: Literal["medical_transfer.classifier/1"] = "medical_transfer.classifier/1"
    precision: Precision = "float32"
    """Of the weights and activations."""
    input: Picture
    """What the input `pixels` takes."""
    output: str = "calibrated probabilities, one column per class in the order of `classes`"
    """What the output `probabilities` gives."""
    classes: tuple[str, ...]
    positive_class: str | None
    """Of two classes, the one whose probability the threshold is for."""
    threshold: float | None
    """The positive class is decided where its probability is at least this; null: the most probable class is."""
    temperature: float
    """Applied inside."""
    symmetries: tuple[Symmetry, ...]
    """Mirror images over which the probabilities are averaged inside, beside the image itself."""
    normalisation: Preprocessing
    """Mean, deviation and channel order that the network learned with; applied inside."""
    kind: str
    source: str
    architecture: str
    split_hash: str
    data_fingerprint: str
    licences: dict[str, str]
    versions: dict[str, str]
    model_sha256: str
    """Checksum of the tensors that it was made from."""
    caution: str = "Not for clinical use without local validation."


def graph_card(card: ModelCard, precision: Precision = "float32") -> GraphCard:
    """What the graph of a trained model says."""
    return GraphCard(
        precision=precision,
        input=Picture(size=card.size, fit=card.fit),
        classes=card.classes,
        positive_class=card.positive_class,
        threshold=card.threshold,
        temperature=card.temperature,
        symmetries=card.symmetries,
        normalisation=card.preprocessing,
        kind=card.kind,
        source=card.source,
        architecture=card.architecture,
        split_hash=card.split_hash,
        data_fingerprint=card.data_fingerprint,
        licences={"data": card.data_licence, "weights": card.weights_licence},
        versions=card.versions,
        model_sha256=card.sha256,
    )


def as_metadata(card: GraphCard) -> dict[str, str]:
    """The fields of a card as the texts that ONNX keeps."""
    return {name: json.dumps(value, ensure_ascii=False) for name, value in card.model_dump(mode="json").items()}


def from_metadata(texts: Mapping[str, str], origin: str) -> GraphCard:
    """Read a card back; fields of others (the tools that rewrite a graph add some) are passed over.

    Raises:
        UserError: where the graph says nothing of the kind; `origin` is what the error calls it.
    """
    try:
        return GraphCard.model_validate({name: json.loads(texts[name]) for name in GraphCard.model_fields})
    except (KeyError, ValueError) as error:
        reason = f"no {error}" if isinstance(error, KeyError) else _first(error)
        raise UserError(
            f"{origin} does not say what it is (its metadata: {reason}): expected a graph that "
            "`kedro run --pipeline=medical_distillation` exported. Export the model again."
        ) from error


def _first(error: ValueError) -> str:
    if not isinstance(error, ValidationError):
        return str(error)
    first = error.errors()[0]
    return f"{'.'.join(map(str, first['loc']))}: {first['msg']}"
