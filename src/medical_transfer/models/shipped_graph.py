"""An exported classifier at work: ONNX Runtime and numpy do all of it, on every core.

Shapes: N images, S pixels of a side, C classes.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from medical_transfer.models.every_core import EveryCore
from medical_transfer.models.graph_card import PROBABILITIES, GraphCard, from_metadata
from medical_transfer.models.weights import checked
from medical_transfer.types import UserError


class ShippedGraph:
    """A graph that was opened, with what it says of itself."""

    def __init__(self, graph: EveryCore, origin: str) -> None:
        self.graph, self.origin = graph, origin
        self.card: GraphCard = from_metadata(graph.alone.get_modelmeta().custom_metadata_map, origin)

    def probabilities(self, pixels_NSS3: NDArray[np.uint8]) -> NDArray[np.float64]:
        """Calibrated probabilities (N, C) of RGB pixels, at flat memory: each core has few images at a time.

        Raises:
            UserError: where the pixels are not as the graph says.
        """
        side = self.card.input.size
        if pixels_NSS3.dtype != np.uint8 or pixels_NSS3.shape[1:] != (side, side, 3):
            raise UserError(
                f"{self.origin} takes uint8 pixels of shape (N, {side}, {side}, 3), found {pixels_NSS3.dtype} "
                f"{pixels_NSS3.shape}: decode to RGB, resize to {side} px and stack."
            )
        (found,) = self.graph.run(np.ascontiguousarray(pixels_NSS3), [PROBABILITIES])
        return found.astype(np.float64)


def open_shipped(path: Path) -> ShippedGraph:
    """Open an exported classifier.

    Raises:
        UserError: where the file is missing, no graph, or a graph that does not say what it is.
    """
    graph = EveryCore(checked(path, None).read_bytes(), origin=str(path))
    return ShippedGraph(graph, str(path))
