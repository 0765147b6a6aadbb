"""Nodes of ingestion."""

from __future__ import annotations

import pandas as pd

from medical_transfer.config.base import Run
from medical_transfer.config.folders import Folders
from medical_transfer.config.images import Images
from medical_transfer.data.cache import ImageCache, build_image_cache
from medical_transfer.data.manifest import check_trainable
from medical_transfer.types import UserError


def ingest(images: Images, folders: Folders, run: Run) -> tuple[pd.DataFrame, ImageCache]:
    """Find, read and decode all images once; bad ones are quarantined with a reason."""
    _results_lie_outside(images, folders)
    cache = build_image_cache(images, folders.packages, folders.images, seed=run.seed)
    audit = cache.audit
    check_trainable(audit, images)
    return audit, cache


def _results_lie_outside(images: Images, folders: Folders) -> None:
    """Results inside the folder of the images would be found as images by the next run."""
    root = images.root.resolve() if images.root is not None else None
    if root is not None and folders.images.resolve().is_relative_to(root):
        raise UserError(
            f"Results would be written to {folders.images}, inside images.root ({root}), and be taken for images: "
            "set run_root to another place."
        )


def quarantined(audit: pd.DataFrame) -> pd.DataFrame:
    """The files that are not used, with their reasons."""
    return audit.loc[audit["status"] == "quarantined", ["path", "label", "reason"]].reset_index(drop=True)
