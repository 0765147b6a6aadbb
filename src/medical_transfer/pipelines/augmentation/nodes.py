"""Nodes of augmentation."""

from __future__ import annotations

import pandas as pd

from medical_transfer.config.augmentation import Augmentation
from medical_transfer.config.base import Run
from medical_transfer.data.cache import ImageCache
from medical_transfer.data.dataset import class_names, evenly_over_classes, labelled_rows
from medical_transfer.runtime.seeds import derive_seed, generator
from medical_transfer.types import Figure

SHOWN_IMAGES, SHOWN_VIEWS = 4, 6


def preview(manifest: pd.DataFrame, image_cache: ImageCache, augmentation: Augmentation, run: Run) -> Figure:
    """A few training images beside their augmented views."""
    from medical_transfer.data.augment import example_views  # noqa: PLC0415 - brings torch
    from medical_transfer.reporting.pictures import augmentation_sheet  # noqa: PLC0415

    rows, names = labelled_rows(manifest, image_cache, "train"), class_names(manifest)
    shown = evenly_over_classes(rows.labels_N, SHOWN_IMAGES, generator(run.seed, "preview"))
    originals = [image_cache.pixels_NSS3[slot] for slot in rows.slots_N[shown]]
    views = example_views(originals, augmentation.policy, SHOWN_VIEWS, seed=derive_seed(run.seed, "preview"))
    return augmentation_sheet(originals, views, [names[label] for label in rows.labels_N[shown]])
