"""Nodes of transferability."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pandas as pd

from medical_transfer.config.backbones import Backbones
from medical_transfer.config.base import Run
from medical_transfer.config.folders import Folders
from medical_transfer.config.model import Model
from medical_transfer.config.transferability import Transferability
from medical_transfer.data.cache import ImageCache
from medical_transfer.data.dataset import labelled_rows, scored_rows
from medical_transfer.models.backbones import find_source
from medical_transfer.models.source import Source
from medical_transfer.runtime.files import read_json, write_json
from medical_transfer.runtime.provenance import PROJECT
from medical_transfer.runtime.seeds import derive_seed
from medical_transfer.runtime.stage import content_key, once
from medical_transfer.splits.leakage import split_hash
from medical_transfer.types import Figure

if TYPE_CHECKING:
    from medical_transfer.transferability.support import Basis

logger = logging.getLogger(__name__)

SCORE_MODULES = (
    "medical_transfer.transferability",
    "medical_transfer.pipelines.transferability.scoring",
    "medical_transfer.models",
    "medical_transfer.data.dataset",
)


def score_sources(
    manifest: pd.DataFrame,
    image_cache: ImageCache,
    transferability: Transferability,
    model: Model,
    backbones: Backbones,
    folders: Folders,
    run: Run,
) -> dict[str, Any]:
    """Score all sources on the training images and choose the one to build.

    What may learn, which source is named and which score is trusted decide the choice alone: they are no part of the
    scores' key.
    """
    from medical_transfer.pipelines.transferability.scoring import (  # noqa: PLC0415
        Scoring,
        Shown,
        compare_sources,
        with_choice,
    )
    from medical_transfer.transferability.choose import check_choice  # noqa: PLC0415 - both bring scikit-learn

    all_frozen = model.freeze == "all"
    basis = _basis(transferability, all_frozen=all_frozen)

    sources = [find_source(name, backbones) for name in transferability.sources]
    choosing: dict[str, Any] = {"all_frozen": all_frozen, "chosen": transferability.chosen}
    check_choice({source.name: source.trainable for source in sources}, **choosing)
    key = _key(manifest, image_cache, sources, transferability, run)

    def compute(folder: Path) -> None:
        rows = scored_rows(labelled_rows(manifest, image_cache, "train"), transferability.max_images, run.seed)
        shown = Shown(rows, image_cache, backbones, folders)
        scoring = Scoring(shown, transferability, derive_seed(run.seed, "scores"))
        write_json(folder / "scores.json", compare_sources(scoring))

    scored = with_choice(read_json(once(folders.scores, key, compute) / "scores.json"), **choosing, basis=basis)
    return scored if transferability.chosen else _warned(scored)


def show_ranking(transferability_scores: dict[str, Any]) -> Figure:
    """Every score of every source."""
    from medical_transfer.reporting.charts import ranking_figure  # noqa: PLC0415 - brings matplotlib's fonts

    return ranking_figure(transferability_scores)


def _key(
    manifest: pd.DataFrame, cache: ImageCache, sources: list[Source], transferability: Transferability, run: Run
) -> str:
    """Of all scores; what only decides between them is left out."""
    return content_key(
        inputs={
            "cache": cache.key,
            "split": split_hash(manifest),
            "sources": [source.identity for source in sources],
            "seed": run.seed,
        },
        parameters=[transferability.model_copy(update={"chosen": None, "decide_by": "auto", "agreement": None})],
        modules=SCORE_MODULES,
    )


def _basis(transferability: Transferability, *, all_frozen: bool) -> Basis:
    """Which score decides by what the study of scores found; a relative path is one of the project."""
    from medical_transfer.transferability.agreement_file import read_agreement  # noqa: PLC0415 - scikit-learn
    from medical_transfer.transferability.support import basis_of  # noqa: PLC0415

    named = transferability.agreement is None or transferability.chosen is not None
    found = None if named else read_agreement(PROJECT / str(transferability.agreement))
    return basis_of(found, asked=transferability.decide_by, all_frozen=all_frozen)


def _warned(scored: dict[str, Any]) -> dict[str, Any]:
    """Say it aloud where an untrained network is built that nobody asked for."""
    if scored["chosen"] in {source["name"] for source in scored["sources"] if source["untrained"]}:
        logger.warning("An untrained network is built, so nothing is transferred: %s", scored["reason"])
    return scored
