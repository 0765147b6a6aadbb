"""A pretrained source: one row of the registry, or several of them side by side."""

from __future__ import annotations

from dataclasses import asdict, dataclass, replace
from typing import Any, ClassVar

from medical_transfer.config.backbones import JOIN
from medical_transfer.models.preprocessing import Preprocessing
from medical_transfer.models.weights import Graph, Untrained, Weights, fingerprint


@dataclass(frozen=True, slots=True)
class Fused:
    """The tensors of several sources, whose features stand side by side; `medical_transfer.models.fusion` makes it."""

    architecture: ClassVar[str] = "fused"
    """Stands where other sources and models name the network that rebuilds them."""
    no_head: ClassVar[str] = "several sources side by side have no head in common"
    members: tuple[Source, ...]


@dataclass(frozen=True, slots=True)
class Source:
    """What a network was trained on, how it is built and filled, and what it expects of its images.

    `architecture` rebuilds the network without its weights (`onnx` where only a graph exists, `fused` where several
    sources stand side by side); `classes` are the outputs of its own head, 0 where it has none. `source_accuracy`
    (top-1, between 0 and 1) and `parameters` (head included, unless the file ends before it) are as published, None
    where they are not.
    """

    name: str
    domain: str
    architecture: str
    weights: Weights | Fused
    preprocessing: Preprocessing
    licence: str
    classes: int = 1000
    source_accuracy: float | None = None
    parameters: int | None = None

    def untrained(self, name: str, weights: Untrained) -> Source:
        """The same architecture with random weights: the control that shows what pretraining gives."""
        domain = "none (untrained control)"
        return replace(self, name=name, domain=domain, weights=weights, licence="none", source_accuracy=None)

    @property
    def trainable(self) -> bool:
        """Whether its trunk can be fine-tuned: a bare graph and a fusion only give frozen features.

        They are built with `model.freeze=all`.
        """
        return not isinstance(self.weights, Graph | Fused)

    @property
    def parts(self) -> tuple[Source, ...]:
        """The sources that stand side by side; the source itself where it is one."""
        return self.weights.members if isinstance(self.weights, Fused) else (self,)

    @property
    def identity(self) -> dict[str, Any]:
        """All that decides what the source makes of an image, and what is said about it: for content keys."""
        facts = {name: str(value) for name, value in asdict(self).items() if name != "weights"}
        if isinstance(self.weights, Fused):
            return {**facts, "members": [member.identity for member in self.weights.members]}
        reading = {name: str(getattr(self.weights, name, None)) for name in ("match", "prefix", "has_head", "output")}
        return {**facts, **reading, "tensors": self.fingerprint}

    @property
    def fingerprint(self) -> str:
        """What identifies its tensors, for model cards."""
        if isinstance(self.weights, Fused):
            return f" {JOIN} ".join(member.fingerprint for member in self.weights.members)
        return fingerprint(self.weights)
