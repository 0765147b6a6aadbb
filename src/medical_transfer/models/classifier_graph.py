"""A trained classifier as one ONNX graph that is used alone: from pixels as a decoder gives them to probabilities.

The input is uint8 (N, S, S, 3), not normalised floats: that is what every decoder hands out, a quarter of the bytes,
and leaves nobody a scale, a channel order or a mean to get wrong. Division by 255, normalisation, the mean over mirror
images and the temperature are inside, so the output is what the predictions table holds. Only resizing stays outside.

Shapes: N images, S pixels of a side, V views of an image, C classes.
"""

from __future__ import annotations

from pathlib import Path

import onnx
import torch
from torch import Tensor, nn

from medical_transfer.config.augmentation import Symmetry
from medical_transfer.data.augment import FLIPPED_AXES
from medical_transfer.models.checkpoint import load_checkpoint
from medical_transfer.models.classifier import Classifier
from medical_transfer.models.graph_card import PIXELS, PROBABILITIES, GraphCard, as_metadata, graph_card
from medical_transfer.models.onnx_source import exportable, write_graph
from medical_transfer.runtime.files import atomic_path
from medical_transfer.types import UserError


class Shipped(nn.Module):
    """All that a prediction is, in torch: the same numbers as `predict_manifest` writes."""

    def __init__(self, classifier: Classifier, *, temperature: float, symmetries: tuple[Symmetry, ...]) -> None:
        super().__init__()
        self.classifier = classifier
        self.temperature, self.symmetries = temperature, symmetries

    def forward(self, pixels_NSS3: Tensor) -> Tensor:
        """Calibrated probabilities (N, C) of RGB pixels (N, S, S, 3) uint8.

        One view after the other: what all of them leave between two layers outgrows a core's cache.
        """
        images = pixels_NSS3.permute(0, 3, 1, 2).float() / 255
        views = [images, *(images.flip(FLIPPED_AXES[symmetry]) for symmetry in self.symmetries)]
        log_VNC = torch.stack([torch.log_softmax(self.classifier(view), dim=1) for view in views])
        # the logarithm of the mean probability; its constant, log V, falls out of the softmax
        return torch.softmax(torch.logsumexp(log_VNC, dim=0) / self.temperature, dim=1)


def load_shipped(folder: Path) -> tuple[Shipped, GraphCard]:
    """The trained model in a folder, as it is shipped, in eval mode, and what its graph will say.

    Raises:
        UserError: where the model is missing, damaged or no network of torch layers.
    """
    classifier, card = load_checkpoint(folder)
    if not exportable(classifier):
        raise UserError(
            f"The model in {folder} stands on {card.source}, of which torch has no layers to export (an ONNX graph, or "
            "several sources side by side): distil it into a student of one network, which can be exported."
        )
    shipped = Shipped(classifier, temperature=card.temperature, symmetries=card.symmetries)
    return shipped.eval(), graph_card(card)


def export_shipped(shipped: Shipped, card: GraphCard, path: Path) -> Path:
    """Write a model as a graph with its card inside, whole or not at all.

    Raises:
        UserError: where ONNX has no such operation.
    """
    side = card.input.size
    where = next(shipped.parameters()).device
    example = torch.zeros(2, side, side, 3, dtype=torch.uint8, device=where)
    write_graph(shipped, example, path, given=PIXELS, outputs=(PROBABILITIES,))
    put_card(path, card)
    return path


def put_card(path: Path, card: GraphCard) -> None:
    """Give a graph its card, in place of an earlier one, atomically."""
    graph = onnx.load(path)
    kept = {each.key: each.value for each in graph.metadata_props}
    onnx.helper.set_model_props(graph, kept | as_metadata(card))
    with atomic_path(path) as temporary:
        onnx.save(graph, temporary)
