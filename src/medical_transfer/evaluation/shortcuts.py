"""Can the class be told without looking at the image? Then a network can learn that instead of the disease.

A logistic regression on what has nothing to do with the patient (size, format, compression, border) or stands beside
the image (the table's columns), cross-validated with groups kept together, and the AUROC of its held-out scores. An
interval above one half is an alarm. Intervals are widened for the number of families tried (Bonferroni): with five of
them a plain 95 % interval would cry wolf in one set of eight. The model is not asked, and nothing is chosen by this.

Shapes: N images, C classes, F features.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import TypedDict

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from medical_transfer.config.evaluation import Evaluation
from medical_transfer.config.images import Images
from medical_transfer.data.cache import ImageCache
from medical_transfer.data.dataset import evenly_over_classes
from medical_transfer.data.file_sizes import file_bytes
from medical_transfer.evaluation.giveaways import giveaways
from medical_transfer.metrics.classification import Codes, Floats, auroc
from medical_transfer.metrics.intervals import Statistic, bootstrap_counts, intervals, strata
from medical_transfer.runtime.seeds import derive_seed, generator
from medical_transfer.types import MetricRow, Split

FOLDS = 5
CHANCE = 0.5
LOOKED_AT: tuple[Split, ...] = ("train", "val")
"""What a network could learn from or be chosen by; the test images are left alone until the end."""
TOGETHER = "together"
"""All families but the metadata, which are not in the image's file."""
METADATA = "metadata"


class Shortcut(TypedDict):
    """How well one family of features tells the classes apart; `alarm`: better than chance for certain."""

    family: str
    features: int
    auroc: MetricRow
    alarm: bool


class Shortcuts(TypedDict):
    """All families, and why there are none."""

    found: list[Shortcut]
    coverage: float
    reason: str | None


def shortcuts(
    families: Mapping[str, Floats], labels_N: Codes, groups_N: NDArray[np.int64], config: Evaluation, seed: int
) -> Shortcuts:
    """Try each family of features, and all that come with the file together.

    Args:
        families: name -> features (N, F), as `giveaways` makes them.
        labels_N: class codes 0..C-1.
        groups_N: images of one group are never on both sides of a fold.
        config: resamples and coverage.
        seed: root seed of folds and resamples.
    """
    of_file = [features for name, features in families.items() if name != METADATA]
    tried = {**families, **({TOGETHER: np.concatenate(of_file, axis=1)} if len(of_file) > 1 else {})}
    coverage = 1 - (1 - config.coverage) / max(1, len(tried))
    folds = _folds(labels_N, groups_N, derive_seed(seed, "shortcuts"))
    if not tried or folds is None:
        why = "nothing about the files differs" if not tried else "a class lies in fewer than two groups"
        return Shortcuts(found=[], coverage=coverage, reason=why)
    scores = {name: _held_out(features, labels_N, folds) for name, features in tried.items()}
    asked: dict[str, Statistic] = {name: partial(auroc, labels_N, each_NC) for name, each_NC in scores.items()}
    rng = generator(seed, "bootstrap/shortcuts")
    chunks = bootstrap_counts(groups_N, strata(labels_N, groups_N), config.resamples, rng)
    images, groups = int(labels_N.size), int(np.unique(groups_N).size)
    found = [
        Shortcut(
            family=name, features=tried[name].shape[1], auroc=each.row(images, groups), alarm=bool(each.low > CHANCE)
        )
        for name, each in intervals(asked, chunks, coverage).items()
    ]
    return Shortcuts(found=found, coverage=coverage, reason=None)


def shortcuts_of(
    manifest: pd.DataFrame, cache: ImageCache, images: Images, packages_folder: Path, config: Evaluation, seed: int
) -> Shortcuts:
    """The check on the usable, labelled rows of training and validation, at most `shortcut_images` of them."""
    usable = manifest[(manifest["status"] == "ok") & manifest["split"].isin(LOOKED_AT) & manifest["label"].notna()]
    labels_N = pd.factorize(usable["label"], sort=True)[0].astype(np.int64)
    drawn_n = evenly_over_classes(labels_N, config.shortcut_images, generator(seed, "shortcut images"))
    rows, groups_n = usable.iloc[drawn_n], pd.factorize(usable["group_id"])[0][drawn_n].astype(np.int64)
    bytes_n = file_bytes(images, packages_folder, rows["path"].tolist())
    families = giveaways(rows, bytes_n, cache.pixels_NSS3, cache.slots(rows["image_id"]), config)
    return shortcuts(families, labels_N[drawn_n], groups_n, config, seed)


def _folds(labels_N: Codes, groups_N: NDArray[np.int64], seed: int) -> list[tuple[Codes, Codes]] | None:
    """Folds that keep groups together, fewer where a class has fewer groups; null where one has less than two."""
    from sklearn.model_selection import StratifiedGroupKFold  # noqa: PLC0415 - a second that only this check should pay

    pairs = np.unique(np.stack([labels_N, groups_N]), axis=1)
    fewest = int(np.bincount(pairs[0]).min(initial=labels_N.size)) if labels_N.size else 0
    if fewest < 2 or np.unique(labels_N).size < 2:
        return None
    splitter = StratifiedGroupKFold(min(FOLDS, fewest), shuffle=True, random_state=seed)
    return list(splitter.split(labels_N, labels_N, groups_N))


def _held_out(features_NF: Floats, labels_N: Codes, folds: list[tuple[Codes, Codes]]) -> Floats:
    """Probability of each class for each image, by a model that saw none of its group; standardised in each fold."""
    from sklearn.linear_model import LogisticRegression  # noqa: PLC0415

    held_out_NC = np.full((labels_N.size, labels_N.max() + 1), 1 / (labels_N.max() + 1))
    for train, test in folds:
        mean_F, deviation_F = features_NF[train].mean(axis=0), features_NF[train].std(axis=0)
        deviation_F[deviation_F < 1e-9] = 1.0
        learned_NF, judged_NF = ((features_NF[rows] - mean_F) / deviation_F for rows in (train, test))
        model = LogisticRegression(max_iter=1000).fit(learned_NF, labels_N[train])
        held_out_NC[np.ix_(test, model.classes_)] = model.predict_proba(judged_NF)
    return held_out_NC
