"""Nodes of the split."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from medical_transfer.config.base import Run
from medical_transfer.config.split import SplitConfig
from medical_transfer.data.cache import ImageCache
from medical_transfer.runtime.seeds import generator
from medical_transfer.splits.assign import assign_splits
from medical_transfer.splits.groups import NearDuplicates, near_duplicate_groups, thumbnails
from medical_transfer.splits.leakage import examined, example_pairs, leakage_report


def group(audit: pd.DataFrame, image_cache: ImageCache, split: SplitConfig) -> NearDuplicates:
    """Join given groups and verified near-duplicates."""
    ok = audit[examined(audit)]
    pictures_NTT = thumbnails(image_cache.pixels_NSS3)[image_cache.slots(ok["image_id"])]
    hashes_N = np.array([int(text, 16) for text in ok["phash"]], dtype=np.uint64)
    return near_duplicate_groups(_words(ok["group_id"]), hashes_N, pictures_NTT, split, mirrored=split.mirrored_copies)


def divide(
    audit: pd.DataFrame, near_duplicates: NearDuplicates, split: SplitConfig, run: Run
) -> tuple[pd.DataFrame, dict[str, Any]]:
    """Give every usable image its final group and split; report what could have leaked."""
    manifest = audit.copy()
    usable = examined(audit)
    drawn = usable & (audit["split"] != "excluded").fillna(value=True).to_numpy(dtype=bool)
    groups_N = near_duplicates.group
    manifest["group_id"] = pd.Series(pd.NA, index=audit.index, dtype="string")
    manifest.loc[usable, "group_id"] = [f"g{number:05d}" for number in groups_N]
    manifest["split"] = pd.Series("excluded", index=audit.index, dtype="string")
    given_N = _words(audit["split"])[drawn]
    splits_n, reasons_n = assign_splits(
        groups_N[drawn[usable]],
        _words(audit["label"])[drawn],
        given_N,
        split,
        generator(run.seed, "split"),
        paths_N=_words(audit["path"])[drawn],
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


def _words(column: pd.Series) -> np.ndarray:
    words: np.ndarray = column.astype(object).where(column.notna(), None).to_numpy(dtype=object)
    return words
