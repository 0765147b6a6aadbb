"""Did anything leak? The report on groups and splits, the check that refuses a leak, and pairs to look at."""

from __future__ import annotations

import hashlib
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from medical_transfer.splits.groups import MIRRORS, Ints, NearDuplicates, group_images
from medical_transfer.types import SPLITS, UserError

_EXAMPLES = 10


def leakage_report(manifest: pd.DataFrame, duplicates: NearDuplicates, *, given_splits: bool) -> dict[str, Any]:
    """What was grouped and how it was divided, ready for JSON.

    `duplicates` describes the `examined` rows, in their order in the manifest; `given_splits` says whether the data
    came with splits. Under `groups`, `perceptual_hash_only` and `after_pixel_check` count groups by upright pairs alone
    (before and after the look at the pixels); `with_mirrored` is the final number, and the three figures after it
    describe the final groups. Pairs count once per mirror.

    Raises:
        ValueError: `duplicates` holds another number of images than the manifest has `examined` rows.
    """
    ok = _examined_rows(manifest, duplicates)
    kept = int(duplicates.kept.sum())
    return {
        "images": len(manifest),
        "quarantined": int((manifest["status"] == "quarantined").sum()),
        "excluded": int(((manifest["status"] == "ok") & (manifest["split"] == "excluded")).sum()),
        "groups": _group_counts(duplicates),
        "pairs": {
            "candidates": len(duplicates.pairs),
            "kept_together": kept,
            "let_apart": len(duplicates.pairs) - kept,
            "mirrored_kept_together": int((duplicates.kept & (duplicates.mirror > 0)).sum()),
        },
        "cross_label_pairs": _cross_label_pairs(ok, duplicates),
        "splits": {split: _split_counts(ok[ok["split"] == split]) for split in SPLITS},
        "given_splits": given_splits,
        "split_hash": split_hash(manifest),
    }


def check_no_leak(manifest: pd.DataFrame) -> None:
    """Refuse a manifest in which a group stands in two splits; `excluded` and unassigned rows may stand anywhere.

    Raises:
        UserError: with the number of such groups and one of them.
    """
    used = manifest[manifest["split"].isin(SPLITS)]
    if used["group_id"].isna().any():
        raise UserError(
            f"{int(used['group_id'].isna().sum())} rows have a split but no group_id, so that a leak cannot be ruled "
            "out: write the manifest with the pipeline's split stage."
        )
    splits_G = used.groupby("group_id", observed=True)["split"].nunique()
    leaking = splits_G.index[splits_G > 1]
    if len(leaking):
        rows = used[used["group_id"] == leaking[0]].drop_duplicates("split").head(2)
        example = " and ".join(f"{path} in {split}" for path, split in zip(rows["path"], rows["split"], strict=True))
        raise UserError(
            f"{len(leaking)} groups stand in more than one split (for example group {leaking[0]}: {example}), but each "
            "must be in one: run the split stage again, do not edit the manifest by hand."
        )


def split_hash(manifest: pd.DataFrame) -> str:
    """First 16 hex digits of sha256 over the sorted lines `image_id:split:group_id`; the order of rows is no matter."""
    columns = [manifest[name].astype(object).where(manifest[name].notna(), "") for name in _HASHED]
    lines = sorted(f"{image}:{split}:{group}\n" for image, split, group in zip(*columns, strict=True))
    return hashlib.sha256("".join(lines).encode()).hexdigest()[:16]


def example_pairs(manifest: pd.DataFrame, duplicates: NearDuplicates, count: int = 10) -> pd.DataFrame:
    """Up to `count` pairs just kept together and up to `count` just let apart, nearest to the threshold first.

    Columns: `row_a, row_b` (places among the `examined` rows), `path_a, path_b`, `label_a, label_b`, `correlation`,
    `mirror` (of `MIRRORS`), `kept`. Of two groups (or within one) only one pair is shown, so that one set of copies
    does not fill the page; a pair that was let apart but joined through others is not shown as apart.
    """
    ok = _examined_rows(manifest, duplicates)
    groups_P2 = np.sort(duplicates.group[duplicates.pairs], axis=1)
    joined_P = groups_P2[:, 0] == groups_P2[:, 1]
    table = pd.DataFrame(
        {
            "row_a": duplicates.pairs[:, 0],
            "row_b": duplicates.pairs[:, 1],
            "correlation": duplicates.correlation,
            "mirror": np.array(MIRRORS, dtype=object)[duplicates.mirror],
            "kept": duplicates.kept,
            "group_a": groups_P2[:, 0],
            "group_b": groups_P2[:, 1],
        }
    )
    for column in ("path", "label"):
        for side in "ab":
            table[f"{column}_{side}"] = ok[column].to_numpy(dtype=object)[table[f"row_{side}"].to_numpy()]
    nearest = [
        part.sort_values("correlation", ascending=ascending, kind="stable")
        .drop_duplicates(["group_a", "group_b"])
        .head(count)
        for part, ascending in ((table[table["kept"]], True), (table[~table["kept"] & ~joined_P], False))
    ]
    shown: pd.DataFrame = pd.concat(nearest, ignore_index=True).drop(columns=["group_a", "group_b"])
    return shown


_HASHED = ("image_id", "split", "group_id")


def examined(audit: pd.DataFrame) -> NDArray[np.bool_]:
    """Rows (N,) whose pixels were read and can be compared: those of status ok that were not passed over unread."""
    rows_N: NDArray[np.bool_] = ((audit["status"] == "ok") & audit["phash"].notna()).to_numpy(dtype=bool)
    return rows_N


def _examined_rows(manifest: pd.DataFrame, duplicates: NearDuplicates) -> pd.DataFrame:
    rows: pd.DataFrame = manifest[examined(manifest)]
    if len(rows) != len(duplicates.group):
        raise ValueError(f"duplicates describe {len(duplicates.group)} images, the manifest has {len(rows)} examined")
    return rows


def _group_counts(duplicates: NearDuplicates) -> dict[str, int]:
    upright_P = duplicates.mirror == 0
    sizes_G = np.bincount(duplicates.group)
    lonely_N = np.ones(len(duplicates.group), dtype=bool)
    lonely_N[duplicates.pairs[duplicates.kept]] = False
    return {
        "given": _count(duplicates.given_group, duplicates.pairs[:0]),
        "perceptual_hash_only": _count(duplicates.given_group, duplicates.pairs[upright_P]),
        "after_pixel_check": _count(duplicates.given_group, duplicates.pairs[upright_P & duplicates.kept]),
        "with_mirrored": len(sizes_G),
        "of_several_images": int((sizes_G > 1).sum()),
        "largest": int(sizes_G.max(initial=0)),
        "images_with_a_near_duplicate": int((~lonely_N).sum()),
    }


def _count(given_group_N: Ints, pairs_P2: Ints) -> int:
    return int(group_images(given_group_N, pairs_P2).max(initial=-1)) + 1


def _cross_label_pairs(ok: pd.DataFrame, duplicates: NearDuplicates) -> dict[str, Any]:
    labels_N, paths_N = ok["label"].to_numpy(dtype=object), ok["path"].to_numpy(dtype=object)
    pairs_P2 = np.unique(duplicates.pairs[duplicates.kept], axis=0)
    known_P = ~pd.isna(labels_N)[pairs_P2].any(axis=1)
    crossing_P2 = pairs_P2[known_P & (labels_N[pairs_P2[:, 0]] != labels_N[pairs_P2[:, 1]])]
    shown_P2 = crossing_P2[:_EXAMPLES]
    return {
        "count": len(crossing_P2),
        "examples": [[str(path) for path in pair] for pair in paths_N[shown_P2]],
        "labels": [[str(label) for label in pair] for pair in labels_N[shown_P2]],
    }


def _split_counts(rows: pd.DataFrame) -> dict[str, Any]:
    classes = rows["label"].value_counts().sort_index()
    return {
        "images": len(rows),
        "groups": int(rows["group_id"].nunique()),
        "classes": {str(label): int(count) for label, count in classes.items()},
    }
