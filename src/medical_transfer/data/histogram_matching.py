"""Grey levels of one site brought to those of another: each level becomes the one that is as frequent there.

Source: Gonzalez and Woods, "Digital Image Processing", section 3.3, histogram matching, for each channel by itself.
Shapes: N slots of a cache, S pixels of a side, L = 256 levels; the 3 channels stand last.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from medical_transfer.config.medical_adaptation import HistogramRule
from medical_transfer.data.cache import ImageCache
from medical_transfer.runtime.files import write_json
from medical_transfer.runtime.stage import content_key, once

LEVELS = 256
CHUNK = 256
"""Images that are looked at together: memory does not grow with N."""

Pixels = NDArray[np.uint8]
Slots = NDArray[np.int64]


def histograms(pixels_NSS3: Pixels) -> NDArray[np.int64]:
    """How often each level occurs in each channel of all images together, (3, L)."""
    return np.stack([np.bincount(pixels_NSS3[..., c].ravel(), minlength=LEVELS) for c in range(3)]).astype(np.int64)


def level_map(counts_L: NDArray[np.int64], reference_L: NDArray[np.int64]) -> Pixels:
    """The level that each level becomes, (L,): the one below which as large a share of the reference lies.

    Between levels that occur in the reference it is interpolated; it never falls.
    """
    share_L = np.cumsum(counts_L) / counts_L.sum()
    known_K = np.flatnonzero(reference_L)
    reference_share_K = np.cumsum(reference_L[known_K]) / reference_L.sum()
    levels_L: Pixels = np.rint(np.interp(share_L, reference_share_K, known_K)).astype(np.uint8)
    return levels_L


def matched(pixels_NSS3: Pixels, counts_3L: NDArray[np.int64], reference_3L: NDArray[np.int64]) -> Pixels:
    """Images under the maps that take `counts_3L` to `reference_3L`."""
    maps = [level_map(counts, reference) for counts, reference in zip(counts_3L, reference_3L, strict=True)]
    return np.stack([maps[channel][pixels_NSS3[..., channel]] for channel in range(3)], axis=-1)


def match_cache(
    cache: ImageCache,
    target: ImageCache,
    *,
    used_n: Slots,
    train_n: Slots,
    target_train_m: Slots,
    rule: HistogramRule,
    seed: int,
    root: Path,
) -> ImageCache:
    """A copy of a cache below `root` whose used images have the target's grey levels; computed once.

    Args:
        cache: images of the source.
        target: images of the target.
        used_n: slots that are copied; all others are black.
        train_n: those of them by which the source's levels are counted (rule `site`).
        target_train_m: slots of the target whose levels are the reference.
        rule: `site`: one map for all images, so that they differ from one another as before; `image`: each image gets
            the levels of one target image, drawn by `seed`.
        seed: of that draw.
        root: where caches are kept.
    """
    slots = {"used": used_n.tolist(), "train": train_n.tolist(), "target": target_train_m.tolist()}
    drawn = {"seed": seed} if rule == "image" else {}
    inputs = {"cache": cache.key, "target": target.key, "rule": rule, **slots, **drawn}
    key = content_key(inputs=inputs, parameters=[], modules=["medical_transfer.data.histogram_matching"])

    def compute(folder: Path) -> None:
        here, there = cache.pixels_NSS3, target.pixels_NSS3
        if rule == "site":
            _write(folder, cache, key, _by_site(here, there, used_n, train_n, target_train_m))
        else:
            _write(folder, cache, key, _by_image(here, there, used_n, target_train_m, seed))

    return ImageCache(once(root, key, compute))


def _write(folder: Path, cache: ImageCache, key: str, parts: Iterator[tuple[Slots, Pixels]]) -> None:
    shape = cache.pixels_NSS3.shape
    mapped = np.lib.format.open_memmap(folder / "pixels.npy", mode="w+", dtype=np.uint8, shape=shape)
    for slots_k, images in parts:
        mapped[slots_k] = images
    mapped.flush()
    cache.audit.to_parquet(folder / "audit.parquet", index=False)
    write_json(folder / "meta.json", {**cache.meta, "key": key})


def _by_site(
    here: Pixels, there: Pixels, used_n: Slots, train_n: Slots, train_m: Slots
) -> Iterator[tuple[Slots, Pixels]]:
    counts_3L, reference_3L = _counted(here, train_n), _counted(there, train_m)
    for slots_k in _chunks(used_n):
        yield slots_k, matched(here[slots_k], counts_3L, reference_3L)


def _by_image(here: Pixels, there: Pixels, used_n: Slots, train_m: Slots, seed: int) -> Iterator[tuple[Slots, Pixels]]:
    drawn_n = train_m[np.random.default_rng(seed).integers(len(train_m), size=len(used_n))]
    for slot, reference in zip(used_n, drawn_n, strict=True):
        image = here[[slot]]
        yield np.array([slot]), matched(image, histograms(image), histograms(there[[reference]]))


def _counted(pixels_NSS3: Pixels, slots_n: Slots) -> NDArray[np.int64]:
    counts_3L: NDArray[np.int64] = np.sum([histograms(pixels_NSS3[part]) for part in _chunks(slots_n)], axis=0)
    return counts_3L


def _chunks(slots_n: Slots) -> Iterator[Slots]:
    return (slots_n[start : start + CHUNK] for start in range(0, len(slots_n), CHUNK))
