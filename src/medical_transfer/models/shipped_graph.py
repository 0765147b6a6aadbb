"""An exported classifier at work: ONNX Runtime and numpy do all of it.

Shapes: N images, S pixels of a side, C classes.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnxruntime
from numpy.typing import NDArray

from medical_transfer.models.graph_card import PIXELS, PROBABILITIES, GraphCard, from_metadata
from medical_transfer.models.onnx_source import onnx_session
from medical_transfer.types import UserError

CHUNK = 64
"""Images that go through a graph at once."""


class ShippedGraph:
    """A graph that was opened, with what it says of itself."""

    def __init__(self, session: onnxruntime.InferenceSession, card: GraphCard, origin: str) -> None:
        self.session, self.card, self.origin = session, card, origin

    def probabilities(self, pixels_NSS3: NDArray[np.uint8]) -> NDArray[np.float64]:
        """Calibrated probabilities (N, C) of RGB pixels, at flat memory.

        Raises:
            UserError: where the pixels are not as the graph says.
        """
        side = self.card.input.size
        if pixels_NSS3.dtype != np.uint8 or pixels_NSS3.shape[1:] != (side, side, 3):
            raise UserError(
                f"{self.origin} takes uint8 pixels of shape (N, {side}, {side}, 3), found {pixels_NSS3.dtype} "
                f"{pixels_NSS3.shape}: decode to RGB, resize to {side} px and stack."
            )
        starts = range(0, len(pixels_NSS3), CHUNK)
        found = [self.run(pixels_NSS3[start : start + CHUNK]) for start in starts]
        return np.concatenate(found) if found else np.empty((0, len(self.card.classes)))

    def run(self, pixels_NSS3: NDArray[np.uint8]) -> NDArray[np.float64]:
        """One call of the graph."""
        (found,) = self.session.run([PROBABILITIES], {PIXELS: np.ascontiguousarray(pixels_NSS3)})
        return np.asarray(found, dtype=np.float64)


def open_shipped(path: Path, *, threads: int) -> ShippedGraph:
    """Open an exported classifier.

    Raises:
        UserError: where the file is missing, no graph, or a graph that does not say what it is.
    """
    session = onnx_session(path, threads=threads)
    card = from_metadata(session.get_modelmeta().custom_metadata_map, str(path))
    return ShippedGraph(session, card, str(path))
