"""What a frozen network makes of a recipe's images, and their augmented views themselves: each computed once."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from medical_transfer.data.cache import ImageCache
from medical_transfer.data.dataset import LabelledRows
from medical_transfer.models.classifier import Classifier
from medical_transfer.models.features import Views, view_of, write_views
from medical_transfer.models.recipe import Recipe
from medical_transfer.models.runner import CHUNK, as_images
from medical_transfer.runtime.seeds import derive_seed
from medical_transfer.runtime.stage import content_key, once


def cached_views(
    classifier: Classifier,
    identity: object,
    cuts: tuple[int, ...],
    rows: LabelledRows,
    cache: ImageCache,
    recipe: Recipe,
    views: int,
) -> Views:
    """Activations of rows at the cuts, computed once; `identity` is what says whose they are."""
    policy = recipe.augmentation.policy
    seed = derive_seed(recipe.seed, f"views/{policy}")
    key = content_key(
        inputs={
            "cache": cache.key,
            "source": identity,
            "images": list(rows.image_ids),
            "cuts": cuts,
            "views": views,
            "policy": [policy, seed] if views else None,
        },
        parameters=[],
        modules=["medical_transfer.models", "medical_transfer.data.augment"],
    )
    folder = once(
        recipe.folders.features,
        key,
        lambda partial: write_views(
            classifier,
            cuts=cuts,
            pixels_NSS3=cache.pixels_NSS3,
            slots_n=rows.slots_N,
            views=views,
            policy=policy,
            seed=seed,
            folder=partial,
        ),
    )
    return Views(folder)


def cached_pictures(rows: LabelledRows, cache: ImageCache, recipe: Recipe) -> tuple[NDArray[np.uint8], ...]:
    """The augmented views of rows (N, S, S, 3), rounded to 8 bits: those of which `cached_views` has activations."""
    views, policy = views_of(recipe), recipe.augmentation.policy
    seed = derive_seed(recipe.seed, f"views/{policy}")
    key = content_key(
        inputs={"cache": cache.key, "images": list(rows.image_ids), "views": views, "policy": [policy, seed]},
        parameters=[],
        modules=["medical_transfer.models.features", "medical_transfer.data.augment", __name__],
    )

    def write(folder: Path) -> None:
        for view in range(1, views + 1):
            shape = (len(rows), *cache.pixels_NSS3.shape[1:])
            kept = np.lib.format.open_memmap(folder / f"view{view}.npy", "w+", np.uint8, shape)
            for start in range(0, len(rows), CHUNK):
                slots_n = rows.slots_N[start : start + CHUNK]
                images = view_of(as_images(cache.pixels_NSS3[slots_n]), policy, seed, view, start)
                kept[start : start + CHUNK] = (images * 255).round().byte().permute(0, 2, 3, 1).numpy()
            kept.flush()

    folder = once(recipe.folders.features, key, write)
    return tuple(np.load(folder / f"view{view}.npy", mmap_mode="r") for view in range(1, views + 1))


def views_of(recipe: Recipe) -> int:
    """How many augmented views of a training image are cached beside the image itself."""
    return 0 if recipe.augmentation.policy == "none" else recipe.augmentation.views
