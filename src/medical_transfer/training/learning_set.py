"""What a model learns from and is judged on: rows of a site with its labels, and of a second one without."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import pandas as pd

from medical_transfer.data.cache import ImageCache
from medical_transfer.data.dataset import (
    LabelledRows,
    class_names,
    evenly_over_classes,
    labelled_rows,
    unlabelled_rows,
)
from medical_transfer.runtime.seeds import generator
from medical_transfer.types import UserError


@dataclass(frozen=True)
class UnlabelledSet:
    """A second site, learned from without labels: training rows, rows to judge on, and where their pixels are."""

    train: LabelledRows
    val: LabelledRows
    cache: ImageCache


@dataclass(frozen=True)
class LearningSet:
    """What is learned from: the classes, the training and the validation rows, and where their pixels are."""

    classes: tuple[str, ...]
    train: LabelledRows
    val: LabelledRows
    cache: ImageCache
    target: UnlabelledSet | None = None


def learning_set(manifest: pd.DataFrame, cache: ImageCache, *, per_class: int | None, seed: int) -> LearningSet:
    """The training and validation rows of a manifest; test rows are not looked at.

    Args:
        manifest: all rows with their splits.
        cache: where their pixels are.
        per_class: so many training images of each class; None: all.
        seed: root seed of the run, by which they are drawn.

    Raises:
        UserError: where a class has no image to learn from or to be judged on, or fewer than `per_class`.
    """
    train, val = labelled_rows(manifest, cache, "train"), labelled_rows(manifest, cache, "val")
    learning = LearningSet(class_names(manifest), train, val, cache)
    check_classes(learning)
    return learning if per_class is None else _smaller(learning, per_class, seed)


def unlabelled_set(manifest: pd.DataFrame, cache: ImageCache, *, batch_size: int) -> UnlabelledSet:
    """The training and validation rows of a second site; their labels are dropped here and test rows not looked at.

    Raises:
        UserError: where it has fewer training images than a batch, or none to judge on.
    """
    train, val = (unlabelled_rows(manifest, cache, split) for split in ("train", "val"))
    if len(train) < batch_size:
        raise UserError(
            f"The second site has {len(train)} usable training images, fewer than a batch of {batch_size}: lower "
            "training.batch_size, or give target_images more images (those given as 'test' are not learned from)."
        )
    if len(val) < 2:
        raise UserError(
            f"The second site has {len(val)} usable validation images, on which epochs are judged without labels: two "
            "are the least. Give it more images, or give some the split 'val'."
        )
    return UnlabelledSet(train, val, cache)


def _smaller(learning: LearningSet, per_class: int, seed: int) -> LearningSet:
    """The same with `per_class` training images of each class; a smaller number takes some of those of a larger."""
    labels_N, classes = learning.train.labels_N, learning.classes
    counts_C = np.bincount(labels_N, minlength=len(classes))
    if counts_C.min() < per_class:
        raise UserError(
            f"training.per_class is {per_class}, but class '{classes[int(counts_C.argmin())]}' has "
            f"{counts_C.min()} training images: lower it, or leave it out to learn from all."
        )
    kept_n = evenly_over_classes(labels_N, per_class * len(classes), generator(seed, "training images"))
    return replace(learning, train=learning.train.take(kept_n))


def check_classes(learning: LearningSet) -> None:
    """Refuse a learning set in which a class is missing from training or validation.

    Raises:
        UserError: names the split and the classes.
    """
    for split, part in (("train", learning.train), ("val", learning.val)):
        counts_C = np.bincount(part.labels_N, minlength=len(learning.classes))
        if absent := [name for name, count in zip(learning.classes, counts_C, strict=True) if not count]:
            raise UserError(
                f"Split '{split}' has no usable image of {', '.join(absent)}: every class needs some. Give it some, "
                "give no row a split, or drop the class with images.classes."
            )
