"""Nodes of the split, for the first site and for a second one."""

from __future__ import annotations

import logging
from typing import Any

import numpy as np
import pandas as pd

from medical_transfer.config.base import Run
from medical_transfer.config.split import SplitConfig
from medical_transfer.data.cache import ImageCache
from medical_transfer.pipelines.site import TARGET
from medical_transfer.runtime.seeds import generator
from medical_transfer.splits.across_sites import Looks, across_sites, pairs_between
from medical_transfer.splits.assign import assign_splits
from medical_transfer.splits.groups import NearDuplicates, near_duplicate_groups, thumbnails
from medical_transfer.splits.leakage import examined, example_pairs, leakage_report
from medical_transfer.types import Figure

logger = logging.getLogger(__name__)


def group(audit: pd.DataFrame, image_cache: ImageCache, _classes: dict[str, Any], split: SplitConfig) -> NearDuplicates:
    """Join given groups and verified near-duplicates; `_classes` says that the set was found fit for it."""
    given_N, looks = _words(audit.loc[examined(audit), "group_id"]), _looks(audit, image_cache)
    return near_duplicate_groups(given_N, looks.phash, looks.thumbnails, split)


def divide(
    audit: pd.DataFrame, near_duplicates: NearDuplicates, split: SplitConfig, run: Run
) -> tuple[pd.DataFrame, dict[str, Any]]:
    """Give every usable image its final group and split; report what could have leaked."""
    labels_N = _words(audit["label"])
    return _divide(audit, labels_N, near_duplicates, split, generator(run.seed, "split"))


def divide_target(
    target_audit: pd.DataFrame, target_near_duplicates: NearDuplicates, split: SplitConfig, run: Run
) -> tuple[pd.DataFrame, dict[str, Any]]:
    """The same for the second site, by draws of its own; without one, a manifest without rows.

    Its labels are not looked at: what a method learns from must not depend on them, and there may be none.
    """
    unknown_N = np.full(len(target_audit), None, dtype=object)
    with TARGET.naming_its_parameters():
        return _divide(target_audit, unknown_N, target_near_duplicates, split, generator(run.seed, "target_split"))


def compare_sites(
    manifest: pd.DataFrame,
    image_cache: ImageCache,
    target_manifest: pd.DataFrame,
    target_image_cache: ImageCache,
    split: SplitConfig,
) -> dict[str, Any]:
    """Count images of the second site that look like ones of the first: no split within a site can part them."""
    there = not target_manifest.empty
    source, target = (frame[examined(frame)] for frame in (manifest, target_manifest))
    pairs_P2 = np.empty((0, 2), dtype=np.int64)
    if there:
        looks = _looks(manifest, image_cache), _looks(target_manifest, target_image_cache)
        pairs_P2 = pairs_between(*looks, split)
    told = across_sites(source, target, pairs_P2, searched=there and split.near_duplicates)
    if told["pairs"]:
        logger.warning(
            "%d images of the second site look like %d of the first: numbers on them are too good (across_sites.json)",
            told["target_images"],
            told["source_images"],
        )
    return told


def _divide(
    audit: pd.DataFrame,
    labels_N: np.ndarray,
    near_duplicates: NearDuplicates,
    split: SplitConfig,
    rng: np.random.Generator,
) -> tuple[pd.DataFrame, dict[str, Any]]:
    manifest = audit.copy()
    usable = examined(audit)
    drawn = usable & (audit["split"] != "excluded").fillna(value=True).to_numpy(dtype=bool)
    groups_N = near_duplicates.group
    manifest["group_id"] = pd.Series(pd.NA, index=audit.index, dtype="string")
    manifest.loc[usable, "group_id"] = [f"g{number:05d}" for number in groups_N]
    manifest["split"] = pd.Series("excluded", index=audit.index, dtype="string")
    given_N = _words(audit["split"])[drawn]
    splits_n, reasons_n = given_N, given_N  # without any image, that is where there is no second site
    if drawn.any():
        splits_n, reasons_n = assign_splits(
            groups_N[drawn[usable]], labels_N[drawn], given_N, split, rng, paths_N=_words(audit["path"])[drawn]
        )
    manifest.loc[drawn, "split"] = splits_n
    manifest.loc[drawn, "reason"] = pd.array(reasons_n, dtype="string")
    report = leakage_report(manifest, near_duplicates, given_splits=bool(pd.notna(given_N).any()))
    shared = int(pd.notna(reasons_n).sum())
    told = {
        "excluded": shared,  # because of a leak; what images.limit and images.classes leave out is none
        "passed_over": report["excluded"] - shared,
        "given_groups": bool(audit.loc[usable, "group_id"].notna().any()),
        "images_with_given_group": int(audit.loc[drawn, "group_id"].notna().sum()),
        "images_without_given_group": int(audit.loc[drawn, "group_id"].isna().sum()),
    }
    return manifest, {**report, **told}


def show_pairs(manifest: pd.DataFrame, near_duplicates: NearDuplicates, image_cache: ImageCache) -> Figure:
    """A page of pairs just kept together and just let apart."""
    from medical_transfer.reporting.pictures import Pair, pairs_figure  # noqa: PLC0415 - brings matplotlib's fonts

    examples = example_pairs(manifest, near_duplicates, count=6)
    slots_N = image_cache.slots(manifest.loc[examined(manifest), "image_id"])
    pixels = image_cache.pixels_NSS3
    pairs = [
        Pair(
            pixels[slots_N[row["row_a"]]],
            pixels[slots_N[row["row_b"]]],
            row["correlation"],
            f"{row['label_a']} / {row['label_b']}\n{row['mirror']}",
        )
        for row in examples.to_dict("records")
    ]
    kept = examples["kept"].tolist()
    return pairs_figure(
        [pair for pair, together in zip(pairs, kept, strict=True) if together],
        [pair for pair, together in zip(pairs, kept, strict=True) if not together],
    )


def _looks(audit: pd.DataFrame, image_cache: ImageCache) -> Looks:
    """Hashes and thumbnails of the examined rows; the cache is not touched where there are none."""
    ok = audit[examined(audit)]
    hashes_N = np.fromiter((int(text, 16) for text in ok["phash"]), dtype=np.uint64, count=len(ok))
    if ok.empty:
        return Looks(hashes_N, np.empty((0, 1, 1), dtype=np.uint8))
    slots_N = image_cache.slots(ok["image_id"])
    return Looks(hashes_N, thumbnails(image_cache.pixels_NSS3, slots_n=slots_N, folder=image_cache.folder.parent))


def _words(column: pd.Series) -> np.ndarray:
    words: np.ndarray = column.astype(object).where(column.notna(), None).to_numpy(dtype=object)
    return words
