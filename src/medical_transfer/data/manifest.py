"""From found rows to manifest rows: identity, class names, groups as far as names tell, and what is left out.

No row is dropped here: what is not used stays with a reason.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable
from pathlib import PurePosixPath

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from medical_transfer.config.images import Images
from medical_transfer.data.label_check import refuse_several, refuse_uncertain
from medical_transfer.data.tables import text
from medical_transfer.runtime.seeds import generator
from medical_transfer.types import FOUND_COLUMNS, Split, UserError

NO_LABEL = "no label"
DUPLICATE = "duplicate path"
CONFLICT = "duplicate path with different labels"
"""What the reason of such a row begins with; the labels follow."""
BEYOND_LIMIT = "beyond images.limit"

FEWEST_GROUPS = 3
"""One group each for train, val and test."""


def manifest_rows(found: pd.DataFrame, images: Images, *, seed: int = 0, need_labels: bool = True) -> pd.DataFrame:
    """Rows ready for the audit: `image_id`, the found columns, `status`, `reason`, then own columns, in found order.

    `image_id` is the first 16 hexadecimal digits of sha256(path), with a suffix where a path comes again. A row is
    quarantined here for a reason of the reader, a path that came before, or (with `need_labels`) a missing label; it
    is excluded but ok where `images.classes` drops its class or `images.limit` passes it over. A group of the table
    wins over one from the file name. `seed` draws the rows of `images.limit`.

    Raises:
        UserError: `images.classes` names a class that was not found, a label is several or none for certain, or a rule
            for groups finds none.
    """
    rows = found.reset_index(drop=True)
    rows.insert(0, "image_id", image_ids(rows["path"]))
    reason = rows.pop("reason") if "reason" in rows else text([None] * len(rows))
    reason = reason.fillna(_duplicates(rows))
    rows["site"] = rows["site"].fillna(images.site) if images.site else rows["site"]
    rows["group_id"] = rows["group_id"].fillna(groups_from_names(rows["path"], images))
    dropped = _dropped_classes(rows["label"], images)
    if need_labels:
        reason = reason.fillna(text(NO_LABEL if missing else None for missing in rows["label"].isna()))
    status = text("ok" if fine else "quarantined" for fine in reason.isna())
    refuse_uncertain(rows["label"], images.classes)
    refuse_several(rows["label"])
    rows["label"] = _used_names(rows["label"], images)
    reason = reason.fillna(dropped)
    beyond = _beyond_limit(
        rows["label"],
        candidate_N=(reason.isna() & ~rows["split"].isin(["excluded"])).to_numpy(),
        limit=images.limit,
        seed=seed,
    )
    reason = reason.fillna(beyond)
    rows.loc[(dropped.notna() | beyond.notna()).to_numpy(), "split"] = "excluded"
    rows.insert(1 + len(FOUND_COLUMNS), "status", status)
    rows.insert(2 + len(FOUND_COLUMNS), "reason", reason)
    return rows


def image_ids(paths: pd.Series[str]) -> pd.Series[str]:
    """Identity of each row: 16 hexadecimal digits of its path's sha256, and `-2`, `-3`... where they come again."""
    ids = text(hashlib.sha256(path.encode("utf-8")).hexdigest()[:16] for path in paths)
    times = ids.groupby(ids).cumcount() + 1
    return text(digits if time == 1 else f"{digits}-{time}" for digits, time in zip(ids, times, strict=True))


def groups_from_names(paths: pd.Series[str], images: Images) -> pd.Series[str]:
    """Group of each path by `images.group_pattern`, else by `images.group_block`, else missing.

    The pattern is searched in the file name; what its first group matches is the patient, whatever the folder. The
    block is the last whole number in the file name (without its suffix) // block, counted in each series by itself: the
    names of one folder that begin alike up to that number.

    Raises:
        UserError: the pattern, or the block, finds a group in no file name.
    """
    pattern = re.compile(images.group_pattern) if images.group_pattern else None
    places = [PurePosixPath(path) for path in paths]
    patients = [_patient(place, pattern) for place in places]
    _refuse_none(patients, paths, f"images.group_pattern={images.group_pattern!r}" if pattern else None)
    blocks = [_block(place, images.group_block) for place in places]
    _refuse_none(blocks, paths, f"images.group_block={images.group_block}" if images.group_block else None)
    return text(patient or block for patient, block in zip(patients, blocks, strict=True))


def _refuse_none(groups: list[str | None], paths: pd.Series[str], asked: str | None) -> None:
    if asked and groups and not any(groups):
        raise UserError(
            f"{asked} finds a group in none of {len(groups)} file names (first: "
            f"{PurePosixPath(paths.iloc[0]).name!r}): correct it, or leave it out if the names do not tell the patient."
        )


def _patient(place: PurePosixPath, pattern: re.Pattern[str] | None) -> str | None:
    match = pattern.search(place.name) if pattern else None
    return (match.group(1) or None) if match else None


def _block(place: PurePosixPath, block: int | None) -> str | None:
    """Series (folder and what stands before the last number), then the first and last number of the block."""
    numbers = list(re.finditer(r"[0-9]+", place.stem)) if block else []
    if not block or not numbers:
        return None
    series, number = place.stem[: numbers[-1].start()], int(numbers[-1].group())
    first = number - number % block
    return f"{place.parent}/{series}{first}-{first + block - 1}"


def usable_rows(audit: pd.DataFrame) -> NDArray[np.bool_]:
    """Rows (N,) that were read and are not left out, labelled or not."""
    rows_N: NDArray[np.bool_] = ((audit["status"] == "ok") & ~audit["split"].isin(["excluded"])).to_numpy(dtype=bool)
    return rows_N


def readable(manifest: pd.DataFrame, split: Split) -> pd.DataFrame:
    """Rows of one split that were read, labelled or not."""
    return manifest[(manifest["split"] == split) & (manifest["status"] == "ok")]


def reasons_of(audit: pd.DataFrame) -> str:
    """The most frequent reasons why files are not used, for a sentence."""
    counts = audit["reason"].fillna(NO_LABEL).value_counts().head(3)
    return ", ".join(f"{count} x {reason}" for reason, count in counts.items()) or "no file found"


def check_trainable(audit: pd.DataFrame, images: Images) -> None:
    """Refuse to train where no split could hold every class.

    Raises:
        UserError: no usable image, fewer than two classes, a class in fewer than three groups (a row without a group
            is one of its own; where `images.limit` is why, the message says which limit would do), or a positive class
            that is not there.
    """
    usable = audit[usable_rows(audit) & audit["label"].notna()]
    if usable.empty:
        raise UserError(f"None of {len(audit)} files is usable ({reasons_of(audit)}): see the audit for each.")
    classes = sorted(usable["label"].unique())
    if len(classes) < 2:
        raise UserError(
            f"All {len(usable)} usable images are of one class, {classes[0]!r}; at least two are needed: check the "
            "folders or the table's labels, and images.classes."
        )
    _check_groups(usable, audit, images)
    if images.positive_class is not None and images.positive_class not in classes:
        raise UserError(f"images.positive_class is {images.positive_class!r}, but the classes are {classes}.")


def _check_groups(usable: pd.DataFrame, audit: pd.DataFrame, images: Images) -> None:
    passed_over = audit[audit["reason"].isin([BEYOND_LIMIT])]
    whole = _groups_by_class(pd.concat([usable, passed_over]))
    for label, sizes in _groups_by_class(usable).items():
        if len(sizes) >= FEWEST_GROUPS:
            continue
        found = f"Class {label!r} has {sum(sizes)} usable image(s) in {len(sizes)} group(s)"
        if len(whole[label]) >= FEWEST_GROUPS:
            raise UserError(
                f"{found} among the {len(usable)} that images.limit={images.limit} left; at least {FEWEST_GROUPS} "
                f"groups are needed, one each for train, val and test: set images.limit to {_limit_that_does(whole)} "
                "or more, or to null."
            )
        raise UserError(
            f"{found}; at least {FEWEST_GROUPS} groups are needed, one each for train, val and test: add images, or "
            f"drop it by images.classes={{{label}: null}}."
        )


def _groups_by_class(rows: pd.DataFrame) -> dict[str, list[int]]:
    """Class -> sizes of its groups, the largest first."""
    groups = rows["group_id"].fillna(rows["image_id"])
    sizes = groups.groupby(rows["label"]).value_counts()
    return {str(label): found.tolist() for label, found in sizes.groupby(level=0)}


def _limit_that_does(whole: dict[str, list[int]]) -> int:
    """The smallest limit that is sure to leave each class enough groups: one image more than its largest ones hold."""
    each = max(sum(sizes[: FEWEST_GROUPS - 1]) + 1 for sizes in whole.values() if len(sizes) >= FEWEST_GROUPS)
    return sum(min(each, sum(sizes)) for sizes in whole.values())


def _duplicates(rows: pd.DataFrame) -> pd.Series[str]:
    labels = rows["label"].fillna("")
    several = labels.groupby(rows["path"]).transform("nunique") > 1
    told = {path: _listed(found.unique()) for path, found in labels[several].groupby(rows["path"])}
    again = zip(rows["path"], rows["path"].duplicated(), strict=True)
    return text(
        f"{CONFLICT}: {told[path]}" if path in told else DUPLICATE if second else None for path, second in again
    )


def _listed(labels: Iterable[str]) -> str:
    return ", ".join(repr(label) if label else "none" for label in sorted(labels))


def _dropped_classes(found: pd.Series[str], images: Images) -> pd.Series[str]:
    dropped = {name for name, used in images.classes.items() if used is None}
    return text(f"class {name!r} is dropped by images.classes" if name in dropped else None for name in found)


def _used_names(found: pd.Series[str], images: Images) -> pd.Series[str]:
    names = sorted(found.dropna().unique())
    unknown = sorted(set(images.classes) - set(names))
    if unknown and names:
        raise UserError(f"images.classes names {unknown}, which were not found. Found classes: {names}.")
    return text(images.classes.get(name, name) if isinstance(name, str) else None for name in found)


def _beyond_limit(labels: pd.Series[str], *, candidate_N: np.ndarray, limit: int | None, seed: int) -> pd.Series[str]:
    """Reason of the candidates that are not among the `limit` drawn: class by class in turn, each in random order."""
    shuffled = generator(seed, "images.limit").permutation(np.flatnonzero(candidate_N))
    classes = labels.iloc[shuffled].fillna("")
    turns = classes.groupby(classes).cumcount()
    order = np.lexsort((pd.factorize(classes, sort=True)[0], turns))
    beyond = np.zeros(len(labels), dtype=bool)
    beyond[shuffled[order[limit:]] if limit is not None else []] = True
    return text(BEYOND_LIMIT if passed_over else None for passed_over in beyond)
