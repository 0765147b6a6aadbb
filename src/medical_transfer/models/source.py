"""A pretrained source: one row of the registry."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

from medical_transfer.models.preprocessing import Preprocessing
from medical_transfer.models.weights import Graph, Weights, fingerprint


@dataclass(frozen=True, slots=True)
class Source:
    """What a network was trained on, how it is built and filled, and what it expects of its images.

    `architecture` rebuilds the network without its weights (`onnx` where only a graph exists); `classes` are the
    outputs of its own head. `source_accuracy` (top-1, between 0 and 1) and `parameters` (head included, unless the file
    ends before it) are as published, None where they are not.
    """

    name: str
    domain: str
    architecture: str
    weights: Weights
    preprocessing: Preprocessing
    licence: str
    classes: int = 1000
    source_accuracy: float | None = None
    parameters: int | None = None

    @property
    def trainable(self) -> bool:
        """Whether its trunk can be fine-tuned: a bare graph only gives frozen features (`model.freeze=all`)."""
        return not isinstance(self.weights, Graph)

    @property
    def identity(self) -> dict[str, Any]:
        """All that decides what the source makes of an image, and what is said about it: for content keys."""
        facts = {name: str(value) for name, value in asdict(self).items() if name != "weights"}
        reading = {name: str(getattr(self.weights, name, None)) for name in ("match", "prefix", "has_head", "output")}
        return {**facts, **reading, "tensors": self.fingerprint}

    @property
    def fingerprint(self) -> str:
        """What identifies its tensors, for model cards."""
        return fingerprint(self.weights)
