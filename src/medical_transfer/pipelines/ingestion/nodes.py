"""Nodes of ingestion, for the first site and for a second one."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pandas as pd

from medical_transfer.config.base import Run
from medical_transfer.config.folders import Folders
from medical_transfer.config.images import Images, TargetImages
from medical_transfer.data.cache import ImageCache, build_image_cache
from medical_transfer.data.manifest import check_trainable
from medical_transfer.data.second_site import check_comparable, empty_audit, usable_classes
from medical_transfer.datasets.image_cache import NO_CACHE
from medical_transfer.pipelines.site import SOURCE, TARGET, Site
from medical_transfer.types import UserError


def ingest(images: Images, folders: Folders, run: Run) -> tuple[pd.DataFrame, ImageCache]:
    """Find, read and decode all images once; bad ones are quarantined with a reason."""
    _results_lie_outside(images, folders)
    cache = build_image_cache(images, folders.packages, folders.images, seed=run.seed)
    return cache.audit, cache


def ingest_target(
    target_images: TargetImages, images: Images, _classes: dict[str, Any], folders: Folders, run: Run
) -> tuple[pd.DataFrame, ImageCache]:
    """The same for the second site, whose labels may be missing; without one, an audit without rows and no cache.

    `_classes` says that the first site was found fit before the second is read.
    """
    if target_images.kind == "none":
        return empty_audit(images), NO_CACHE
    wanted = target_images.beside(images)
    with TARGET.naming_its_parameters():
        _results_lie_outside(wanted, folders)
        cache = build_image_cache(
            wanted,
            folders.packages,
            folders.images,
            seed=run.seed,
            need_labels=False,
            drop_labels=wanted.strict_unlabelled,
        )
    return cache.audit, cache


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


def check(audit: pd.DataFrame, quarantine: pd.DataFrame, images: Images, folders: Folders) -> dict[str, int]:
    """Usable images of each class, where they can be divided and trained on; the audit is saved by then.

    Raises:
        UserError: they cannot; says where the audit lies.
    """
    try:
        check_trainable(audit, images)
    except UserError as error:
        raise _with_the_audit(error, SOURCE, audit, quarantine, folders.audits) from error
    return usable_classes(audit)


def check_target(
    target_audit: pd.DataFrame,
    target_quarantine: pd.DataFrame,
    classes: dict[str, Any],
    target_images: TargetImages,
    folders: Folders,
) -> dict[str, int]:
    """Usable images of each class of the second site, where they can be set beside the first site's.

    Raises:
        UserError: they cannot; says where the audit lies.
    """
    try:
        if target_images.kind != "none":
            with TARGET.naming_its_parameters():
                check_comparable(target_audit, classes)
    except UserError as error:
        raise _with_the_audit(error, TARGET, target_audit, target_quarantine, folders.audits) from error
    return usable_classes(target_audit)


def _with_the_audit(
    error: UserError, site: Site, audit: pd.DataFrame, quarantine: pd.DataFrame, folder: Path
) -> UserError:
    place = folder / f"{site.named('audit')}.parquet"
    return UserError(f"{error} {len(audit)} files were found, {len(quarantine)} of them quarantined: see {place}")
