"""A trained model leaves the house: exported, quantised, and both held against torch on validation images.

Test images are not looked at: which of the two graphs is shipped is a choice, and choices are made on validation.
Shapes: N images, C classes.
"""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Any, TypedDict

import numpy as np
import pandas as pd
import torch
from numpy.typing import NDArray

from medical_transfer.config.medical_distillation import Int8
from medical_transfer.data.cache import ImageCache
from medical_transfer.data.dataset import evenly_over_classes, labelled_rows
from medical_transfer.metrics.classification import auroc
from medical_transfer.metrics.thresholds import decide
from medical_transfer.models.card import TrainedModel
from medical_transfer.models.classifier_graph import Shipped, export_shipped, load_shipped
from medical_transfer.models.exported import FACTS_FILE, GRAPH_FILES, Engine
from medical_transfer.models.graph_card import GraphCard
from medical_transfer.models.quantised_graph import quantise
from medical_transfer.models.runner import CHUNK
from medical_transfer.models.shipped_graph import open_shipped
from medical_transfer.runtime.files import sha256_of, write_json
from medical_transfer.runtime.seeds import generator
from medical_transfer.types import UserError

logger = logging.getLogger(__name__)

Probabilities = NDArray[np.float64]
CLOSE = 1e-3
"""By how much a probability of the float graph may differ from torch's: another order of sums, nothing else."""


class Agreement(TypedDict):
    """Probabilities of the same images by two engines: largest and mean difference, and share decided otherwise."""

    images: int
    largest: float
    mean: float
    disagreement: float


def ship(
    model: TrainedModel, manifest: pd.DataFrame, cache: ImageCache, bounds: Int8, *, folder: Path, seed: int
) -> None:
    """Write both graphs of a model and `export.json` to `folder`.

    Args:
        model: a trained classifier.
        manifest: rows of its images; training ones calibrate, validation ones judge.
        cache: their pixels.
        bounds: what int8 may lose before the floats are shipped.
        folder: where the files go.
        seed: root seed, by which calibration images are drawn.

    Raises:
        UserError: where the network cannot be exported, or its graph computes something else.
    """
    shipped, card = load_shipped(model.folder)
    train, val = (labelled_rows(manifest, cache, split) for split in ("train", "val"))
    drawn_n = evenly_over_classes(train.labels_N, bounds.calibration_images, generator(seed, "int8/calibration"))
    paths: dict[Engine, Path] = {engine: folder / name for engine, name in GRAPH_FILES.items()}
    export_shipped(shipped, card, paths["onnx"])
    seen_NSS3, pixels_NSS3 = (cache.pixels_NSS3[slots_n] for slots_n in (train.slots_N[drawn_n], val.slots_N))
    quantise(paths["onnx"], paths["int8"], card, seen_NSS3, convolutions_in_floats=bounds.convolutions_in_floats)
    by_torch, by_graph = in_torch(shipped, pixels_NSS3), _in_graphs(paths, pixels_NSS3)
    exact, rounded = agreement(by_torch, by_graph["onnx"], card), agreement(by_graph["onnx"], by_graph["int8"], card)
    _check_exact(exact, model)
    lost = _auroc(val.labels_N, by_graph["onnx"]) - _auroc(val.labels_N, by_graph["int8"])
    warning = what_is_lost(lost, rounded["disagreement"], bounds)
    if warning is not None:
        logger.warning(warning)
    facts: dict[str, Any] = {
        "files": {engine: {"file": path.name, **_facts_of(path)} for engine, path in paths.items()},
        "torch_and_onnx": exact,
        "onnx_and_int8": {**rounded, "auroc_lost": lost},
        "shipped": "int8" if warning is None else "onnx",
        "warning": warning,
        "calibration_images": len(drawn_n),
        "card": card.model_dump(mode="json"),
    }
    write_json(folder / FACTS_FILE, facts)


def _in_graphs(paths: dict[Engine, Path], pixels_NSS3: NDArray[np.uint8]) -> dict[Engine, Probabilities]:
    return {engine: open_shipped(path).probabilities(pixels_NSS3) for engine, path in paths.items()}


@torch.inference_mode()
def in_torch(shipped: Shipped, pixels_NSS3: NDArray[np.uint8]) -> Probabilities:
    """Calibrated probabilities (N, C) by torch on the CPU."""
    pieces = (torch.from_numpy(np.array(pixels_NSS3[s : s + CHUNK])) for s in range(0, len(pixels_NSS3), CHUNK))
    return np.concatenate([shipped(each).numpy() for each in pieces]).astype(np.float64)


def agreement(one_NC: Probabilities, other_NC: Probabilities, card: GraphCard) -> Agreement:
    """How far two engines are apart on the same images."""
    gap_NC = np.abs(one_NC - other_NC)
    decided = [_decided(each, card) for each in (one_NC, other_NC)]
    return Agreement(
        images=len(one_NC),
        largest=float(gap_NC.max()),
        mean=float(gap_NC.mean()),
        disagreement=float((decided[0] != decided[1]).mean()),
    )


def what_is_lost(auroc_lost: float, disagreement: float, bounds: Int8) -> str | None:
    """Say why int8 is not shipped; None where it stays within its bounds."""
    found = []
    if not auroc_lost <= bounds.max_auroc_loss:
        found.append(f"it loses {auroc_lost:.4f} of AUROC (at most {bounds.max_auroc_loss:g})")
    if disagreement > bounds.max_disagreement:
        found.append(f"it decides {disagreement:.1%} of the images otherwise (at most {bounds.max_disagreement:.1%})")
    if not found:
        return None
    return (
        f"The int8 model is not shipped: on validation images {' and '.join(found)}. The float model is kept. A "
        "higher medical_distillation.int8.convolutions_in_floats or calibration_images may help."
    )


def _decided(probabilities_NC: Probabilities, card: GraphCard) -> NDArray[np.intp]:
    if card.threshold is None or card.positive_class is None:
        return decide(probabilities_NC)
    return decide(probabilities_NC, card.threshold, card.classes.index(card.positive_class))


def _auroc(labels_N: NDArray[np.int64], probabilities_NC: Probabilities) -> float:
    return float(auroc(labels_N, probabilities_NC, np.ones((1, len(labels_N))))[0])


def _check_exact(exact: Agreement, model: TrainedModel) -> None:
    if not exact["largest"] <= CLOSE:
        raise UserError(
            f"The graph of {model.folder} gives probabilities that differ from torch's by {exact['largest']:.3g} (at "
            f"most {CLOSE:g}): the exporter has written something else than the network computes, so it is not "
            "shipped. Choose another student in medical_distillation.student."
        )


def _facts_of(path: Path) -> dict[str, Any]:
    return {"bytes": path.stat().st_size, "sha256": sha256_of(path)}
