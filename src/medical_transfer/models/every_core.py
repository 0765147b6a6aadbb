"""An ONNX graph at work on every core of a processor.

Cores that share the layers of a batch wait for one another at each of them, and what a batch leaves between two layers
outgrows their caches. So each core takes images by itself, few enough at once to stay there; the results are the same.
Only where there are fewer images than cores do all cores share them.

Shapes: images (N, 3, S, S) or (N, S, S, 3), of the type that the graph takes.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray
from onnxruntime import InferenceSession

from medical_transfer.data.ahead import in_order
from medical_transfer.models.onnx_source import graph_session
from medical_transfer.runtime.cores import cores

AT_ONCE = 3 * 160**2
"""Numbers, 3 x S x S for each image, that a core takes at once: one image of 160 px, six of 64. With fewer the calls
themselves take time, more leave the cache."""


class EveryCore:
    """A graph that was opened; it takes one input.

    Args:
        graph: its bytes.
        origin: what the graph is called in an error.

    Raises:
        UserError: where the bytes are no readable graph.
    """

    def __init__(self, graph: bytes, *, origin: str) -> None:
        self.alone = graph_session(graph, origin=origin, threads=1)
        self._graph, self._origin, self._workers = graph, origin, cores()

    def run(self, images: NDArray[Any], outputs: Sequence[str]) -> tuple[NDArray[np.float32], ...]:
        """The named outputs for all images. A graph that fixes N takes them in one call."""
        taken = self.alone.get_inputs()[0]
        if isinstance(taken.shape[0], int) or len(images) < self._workers:
            return tuple(self._together.run(outputs, {taken.name: images}))
        found = in_order(
            lambda some: self.alone.run(outputs, {taken.name: some}),
            _pieces(images, self._workers),
            workers=self._workers,
        )
        return tuple(np.concatenate(each) for each in zip(*found, strict=True))

    @cached_property
    def _together(self) -> InferenceSession:
        """The same graph with all cores on each layer."""
        return graph_session(self._graph, origin=self._origin, threads=self._workers)


def _pieces(images: NDArray[Any], workers: int) -> list[NDArray[Any]]:
    """Images for one core at a time, in order; none of them waits while there are cores without any."""
    step = max(1, min(AT_ONCE // images[0].size, -(-len(images) // workers)))
    return [images[start : start + step] for start in range(0, len(images), step)]
