"""A trunk that exists only as an ONNX graph: frozen features that heads are built on (`model.freeze=all`).

The graph's own bytes are a buffer of the module, so they are saved with the head, fall under its checksum, and a
trained model needs no other file. Shapes: images (N, 3, S, S), features (N, D).
"""

from __future__ import annotations

from typing import Any, ClassVar

import torch
from torch import Tensor

from medical_transfer.models.every_core import EveryCore
from medical_transfer.models.graph_facts import (
    GraphFacts,
    check_self_contained,
    facts_of,
    features_of,
    weights_in,
)
from medical_transfer.models.trunk import WholeTrunk
from medical_transfer.models.weights import Graph, checked


def read_graph(weights: Graph, *, side: int) -> GraphTrunk:
    """Build the trunk of a source; `side` is the S that a graph of any size is tried with.

    Raises:
        UserError: where the file is missing, another one, or no graph from images to features.
    """
    content = checked(weights.path, weights.sha256).read_bytes()
    return GraphTrunk(as_tensor(content), output=weights.output, side=side, origin=str(weights.path)).eval()


def as_tensor(content: bytes) -> Tensor:
    """The bytes of a file as a tensor of their number."""
    return torch.frombuffer(bytearray(content or b"\0"), dtype=torch.uint8)


class GraphTrunk(WholeTrunk):
    """One stage without parameters, run by ONNX Runtime on the CPU wherever the images lie; no gradient passes.

    A graph that fixes N is run in pieces of N. The session is opened when it is first needed and never copied or
    pickled: copies open their own.

    Args:
        graph: bytes of the graph, uint8.
        output: name of the output that holds the features.
        side: S that a graph of any size is tried with where it doesn't state D.
        origin: what the graph is called in an error.

    Raises:
        UserError: where the bytes are no graph that takes images (N, 3, S, S) and gives features (N, D).
    """

    nature: ClassVar[str] = "exists only as a graph"
    graph: Tensor

    def __init__(self, graph: Tensor, *, output: str, side: int, origin: str) -> None:
        super().__init__(Graph.architecture)
        self.graph_output, self.origin = output, origin
        self.register_buffer("graph", graph.clone())
        self._session: EveryCore | None = None
        self._side = side
        self._facts: GraphFacts = self._learn_facts()

    @property
    def stage_names(self) -> tuple[str, ...]:
        """One stage: the graph."""
        return ("graph",)

    @property
    def feature_dim(self) -> int:
        """D, the length of a feature vector."""
        return self._facts.feature_dim

    def stage_size(self, index: int) -> int:  # noqa: ARG002 - there is one stage
        """Number of weights in the graph."""
        return weights_in(self._content())

    def see(self, images: Tensor) -> Tensor:
        """Features (N, D) of images, on the device of the images.

        Raises:
            UserError: where the graph does not take images of this size.
        """
        pixels = images.detach().float().cpu().numpy()
        features_ND = features_of(self._opened(), pixels, self._facts, origin=self.origin)
        return torch.from_numpy(features_ND).to(images.device)

    def _content(self) -> bytes:
        return self.graph.cpu().numpy().tobytes()

    def _learn_facts(self) -> GraphFacts:
        check_self_contained(self._content(), self.origin)
        return facts_of(self._opened(), output=str(self.graph_output), side=self._side, origin=self.origin)

    def _opened(self) -> EveryCore:
        if self._session is None:
            self._session = EveryCore(self._content(), origin=self.origin)
        return self._session

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "_session": None}

    def _load_from_state_dict(self, *arguments: Any, **named: Any) -> None:
        """Take the bytes; where they are another graph's, the open session and its facts are of no use any more."""
        before = self.graph.clone()
        super()._load_from_state_dict(*arguments, **named)
        if not torch.equal(before, self.graph):
            self._session = None
            self._facts = self._learn_facts()
