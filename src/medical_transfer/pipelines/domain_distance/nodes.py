"""Nodes of domain distance."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Any

import pandas as pd

from medical_transfer.config.backbones import Backbones
from medical_transfer.config.base import Run
from medical_transfer.config.domain_distance import DomainDistance
from medical_transfer.config.folders import Folders
from medical_transfer.config.transferability import Transferability
from medical_transfer.data.cache import ImageCache
from medical_transfer.data.manifest import usable_rows
from medical_transfer.models.backbones import find_source
from medical_transfer.pipelines.site import SOURCE, TARGET, Site
from medical_transfer.runtime.files import read_json, write_json
from medical_transfer.runtime.seeds import derive_seed, generator
from medical_transfer.runtime.stage import content_key, once
from medical_transfer.types import Figure, UserError

logger = logging.getLogger(__name__)

DISTANCE_MODULES = (
    "medical_transfer.transferability.distances",
    "medical_transfer.transferability.evidence",
    "medical_transfer.transferability.linear_probe",
    "medical_transfer.pipelines.domain_distance.measuring",
    "medical_transfer.pipelines.transferability.scoring",
    "medical_transfer.models",
)
COLUMNS = ["image_id", "path", "site", "split", "group_id", "label"]


def draw_rows(
    manifest: pd.DataFrame, target_manifest: pd.DataFrame, domain_distance: DomainDistance, run: Run
) -> pd.DataFrame:
    """The images that are compared: of each site's training split, at most `max_images`, drawn whatever their labels.

    A second site that has no training images, because it was given as a test set, is compared as a whole.
    """
    parts = []
    for site, frame in ((SOURCE, manifest), (TARGET, target_manifest)):
        rows = _comparable(frame, site)
        rng = generator(run.seed, site.named("compared images"))
        places = rng.permutation(len(rows))[: domain_distance.max_images]
        rows = rows.iloc[sorted(places)][COLUMNS]
        rows.insert(0, "domain", "target" if site == TARGET else "source")
        parts.append(rows)
    return pd.concat(parts, ignore_index=True)


def measure_distances(
    domain_rows: pd.DataFrame,
    image_cache: ImageCache,
    target_image_cache: ImageCache,
    domain_distance: DomainDistance,
    transferability: Transferability,
    backbones: Backbones,
    folders: Folders,
    run: Run,
) -> tuple[dict[str, Any], pd.DataFrame]:
    """Distances of both sites with p-values, and the place of each image on the plane of their largest differences."""
    named = domain_distance.model_copy(update={"source": domain_distance.source or transferability.sources[0]})
    source = find_source(str(named.source), backbones)
    key = content_key(
        inputs={
            "caches": [image_cache.key, target_image_cache.key],
            "source": source.identity,
            "rows": domain_rows.astype(object).where(domain_rows.notna(), None).to_dict("list"),
            "seed": run.seed,
        },
        parameters=[named],
        modules=DISTANCE_MODULES,
    )

    def compute(folder: Path) -> None:
        from medical_transfer.pipelines.domain_distance.measuring import Comparison, compare  # noqa: PLC0415 - sklearn

        caches = {"source": image_cache, "target": target_image_cache}
        seed = derive_seed(run.seed, "domain distance")
        told, plane = compare(Comparison(domain_rows, caches, source, named, backbones, folders, seed))
        plane.to_parquet(folder / "map.parquet", index=False)
        write_json(folder / "distances.json", told)

    folder = once(folders.scores, key, compute)
    told = read_json(folder / "distances.json")
    logger.info("%s", told["conclusion"])
    return told, pd.read_parquet(folder / "map.parquet")


def show_distances(domain_distance_told: dict[str, Any], domain_map: pd.DataFrame) -> Figure:
    """The images of both sites on a plane, and each distance beside what chance gives."""
    from medical_transfer.reporting.domain_distance import domain_figure  # noqa: PLC0415 - brings matplotlib's fonts

    return domain_figure(domain_distance_told, domain_map)


def _comparable(frame: pd.DataFrame, site: Site) -> pd.DataFrame:
    usable = frame[usable_rows(frame)]
    training = usable[usable["split"] == "train"]
    rows = usable if training.empty and site == TARGET else training
    if rows.empty:
        block = site.named("images")
        raise UserError(
            f"The manifest of {block} has no image to compare: domain_distance needs two sites; set {block}.kind and "
            f"{block}.root (or {block}.table), and run --pipeline=domain_distance, which reads and divides both."
        )
    return rows
