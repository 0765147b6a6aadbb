"""Nodes of layer choice."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Any

import pandas as pd

from medical_transfer.config.backbones import Backbones
from medical_transfer.config.base import Run
from medical_transfer.config.folders import Folders
from medical_transfer.config.layer_choice import LayerChoice
from medical_transfer.config.model import Model
from medical_transfer.config.transferability import Transferability
from medical_transfer.data.cache import ImageCache
from medical_transfer.data.dataset import class_names, labelled_rows, scored_rows
from medical_transfer.models.layered_source import layered_source
from medical_transfer.runtime.files import read_json, write_json
from medical_transfer.runtime.seeds import derive_seed
from medical_transfer.runtime.stage import content_key, once
from medical_transfer.splits.leakage import split_hash
from medical_transfer.types import Figure

logger = logging.getLogger(__name__)

SCORE_MODULES = (
    "medical_transfer.transferability",
    "medical_transfer.pipelines.layer_choice.by_stage",
    "medical_transfer.models",
    "medical_transfer.data.dataset",
)


def score_stages(
    manifest: pd.DataFrame,
    image_cache: ImageCache,
    layer_choice: LayerChoice,
    transferability: Transferability,
    model: Model,
    backbones: Backbones,
    folders: Folders,
    run: Run,
) -> dict[str, Any]:
    """Score every stage of a source on the training images, and say where it suggests to cut the network.

    Images, folds and seeds are those of the stage `transferability`: the last stage has the probe that is told there.
    """
    from medical_transfer.pipelines.layer_choice.by_stage import Looking, compare_stages, with_suggestion  # noqa: PLC0415
    from medical_transfer.pipelines.transferability.scoring import Shown  # noqa: PLC0415

    source = layered_source(layer_choice.source, transferability.sources, backbones)
    key = content_key(
        inputs={"cache": image_cache.key, "split": split_hash(manifest), "source": source.identity, "seed": run.seed},
        parameters=[layer_choice.model_copy(update={"source": None})],
        modules=SCORE_MODULES,
    )

    def compute(folder: Path) -> None:
        rows = scored_rows(labelled_rows(manifest, image_cache, "train"), layer_choice.max_images, run.seed)
        shown = Shown(rows, image_cache, backbones, folders)
        looking = Looking(shown, layer_choice, derive_seed(run.seed, "scores"))
        write_json(folder / "stages.json", compare_stages(source, looking))

    scored = read_json(once(folders.scores, key, compute) / "stages.json")
    width, classes = scored["stages"][-1]["features"], len(class_names(manifest))
    told = with_suggestion(scored, head_parameters=_head_parameters(model, width, classes))
    logger.info("%s", told["suggestion"]["text"])
    return told


def show_depth(layer_choice_scores: dict[str, Any]) -> Figure:
    """Scores of every stage from the image to the head."""
    from medical_transfer.reporting.by_depth import depth_figure  # noqa: PLC0415 - brings matplotlib's fonts

    return depth_figure(layer_choice_scores)


def _head_parameters(model: Model, feature_dim: int, classes: int) -> int:
    from medical_transfer.models.heads import build_head  # noqa: PLC0415 - torch

    head = build_head(model.head, feature_dim=feature_dim, classes=classes, dropout=model.dropout, seed=0)
    return sum(parameter.numel() for parameter in head.parameters())
