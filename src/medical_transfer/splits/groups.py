"""Groups of images that must stay in one split: given groups (patients) joined by verified near-duplicates.

Candidates come from 64-bit perceptual hashes; a look at small grey pictures decides. Mirrored copies are searched too:
sets that were enlarged by flips before they were published leak through them, and a perceptual hash does not see them.
Legend: N images, T side of a thumbnail, P candidate pairs, U distinct hashes.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from medical_transfer.config.split import SplitConfig
from medical_transfer.runtime.files import scratch_array

Ints = NDArray[np.int64]

CROWD = 64
"""More images than this with one and the same hash are linked to the first of them only."""

MIRRORS = ("as it is", "left-right", "up-down", "both")
"""What `mirror_P` counts: how the second picture of a pair is flipped to match the first."""

_BITS = 64
_BLOCK = 2048
_PAIRS_AT_ONCE = 256
"""In float64 a block of pairs takes some 60 kB per pair while it is compared."""
_LUMA = np.array([0.299, 0.587, 0.114], dtype=np.float32)
_LOCAL_SIGMA_PX = 2.0


@dataclass(frozen=True, slots=True, eq=False)
class NearDuplicates:
    """The candidate pairs of N images, what the look at the pixels said, and the groups that follow.

    pairs: (P, 2), rows i < j; a pair may stand once per mirror. mirror: (P,), place in `MIRRORS`. correlation: (P,).
    kept: (P,), true where the pair stays together. given_group: (N,), without near-duplicates; group: (N,), with them.
    """

    pairs: Ints
    mirror: Ints
    correlation: NDArray[np.float64]
    kept: NDArray[np.bool_]
    given_group: Ints
    group: Ints

    def __deepcopy__(self, _memo: dict[int, Any]) -> NearDuplicates:
        """Nobody writes to it: Kedro's copies between nodes are the same arrays."""
        return self


def near_duplicate_groups(
    given_N: NDArray[Any],
    phash_N: NDArray[np.uint64],
    thumbnails_NTT: NDArray[np.uint8],
    config: SplitConfig,
) -> NearDuplicates:
    """Find candidates by hash, verify them on the thumbnails, and join the kept pairs with the given groups.

    Shapes: given_N str or None, phash_N 64-bit perceptual hashes, thumbnails_NTT grey. With `config.near_duplicates`
    off only the given groups count.
    """
    pairs_P2, mirror_P = candidate_pairs(phash_N, thumbnails_NTT, config)
    correlation_P = verify_pairs(pairs_P2, thumbnails_NTT, mirror_P)
    kept_P = correlation_P >= config.pixel_correlation
    return NearDuplicates(
        pairs=pairs_P2,
        mirror=mirror_P,
        correlation=correlation_P,
        kept=kept_P,
        given_group=group_images(given_N, pairs_P2[:0]),
        group=group_images(given_N, pairs_P2[kept_P]),
    )


def candidate_pairs(
    phash_N: NDArray[np.uint64], thumbnails_NTT: NDArray[np.uint8], config: SplitConfig
) -> tuple[Ints, Ints]:
    """Pairs (P, 2) that look alike by their hashes, and the flip (P,) of each: see `mirrored_pairs`, 0 for none.

    Upright candidates come from phash_N; mirrored ones (`config.mirrored_copies`) from hashes of the thumbnails. None
    with `config.near_duplicates` off.
    """
    if not config.near_duplicates:
        return np.empty((0, 2), dtype=np.int64), np.empty(0, dtype=np.int64)
    pairs_P2 = hash_pairs(phash_N, config.hash_distance)
    mirror_P = np.zeros(len(pairs_P2), dtype=np.int64)
    if config.mirrored_copies:
        more_M2, flips_M = mirrored_pairs(thumbnails_NTT, config.hash_distance)
        pairs_P2, mirror_P = np.concatenate([pairs_P2, more_M2]), np.concatenate([mirror_P, flips_M])
    return pairs_P2, mirror_P


def hash_pairs(phash_N: NDArray[np.uint64], max_distance: int) -> Ints:
    """All pairs (P, 2), i < j, sorted, whose 64-bit hashes differ in at most `max_distance` bits; exact.

    Pigeonhole: of max_distance + 1 bands of bits one must be equal in both hashes, so only hashes that share a band are
    compared. Memory is linear in images and pairs found; time grows with the fullest buckets, that is quickly where
    `max_distance` is large and bands are short.

    A hash that more than `CROWD` images share (20,000 black pictures) is collapsed: its first image stands for all,
    and the others are linked to that image alone. Connected components stay those of all pairs; but where pairs are
    verified afterwards, likeness inside such a crowd is likeness to its first image.
    """
    unique_U, hash_of_N = np.unique(phash_N, return_inverse=True)
    sizes_U = np.bincount(hash_of_N, minlength=len(unique_U))
    by_hash_N = np.argsort(hash_of_N, kind="stable")
    start_U = np.cumsum(sizes_U) - sizes_U
    shown_U = np.where(sizes_U > CROWD, 1, sizes_U)
    itself_U2 = np.repeat(np.flatnonzero(shown_U > 1)[:, None], 2, axis=1)
    links_L2 = np.concatenate([itself_U2, _close_hashes(unique_U, max_distance)])
    first_P, second_P = _expand(links_L2, start_U, shown_U)
    first_of_N = by_hash_N[start_U[hash_of_N]]
    crowd = np.flatnonzero((sizes_U[hash_of_N] > CROWD) & (first_of_N != np.arange(len(phash_N))))
    pairs_P2 = np.stack(
        [np.append(by_hash_N[first_P], first_of_N[crowd]), np.append(by_hash_N[second_P], crowd)], axis=1
    )
    return _sorted_pairs(pairs_P2, len(phash_N))


def mirrored_pairs(thumbnails_NTT: NDArray[np.uint8], max_distance: int) -> tuple[Ints, Ints]:
    """Pairs (P, 2), i < j, where the flipped second picture is close to the first by hash, and the flip (P,) of each.

    All four flips of all pictures are searched as one set; a picture close to its own mirror image is no pair.
    """
    count = len(thumbnails_NTT)
    pairs_P2 = hash_pairs(flipped_hashes(thumbnails_NTT).ravel(), max_distance)
    flips_P2, rows_P2 = np.divmod(pairs_P2, max(count, 1))
    # One flip after another is the flip of their exclusive or.
    mirror_P = np.bitwise_xor(flips_P2[:, 0], flips_P2[:, 1])
    flipped_P = np.flatnonzero((mirror_P > 0) & (rows_P2[:, 0] != rows_P2[:, 1]))
    low_P, high_P = np.sort(rows_P2[flipped_P], axis=1).T
    found_P3 = np.unique(np.stack([low_P, high_P, mirror_P[flipped_P]], axis=1), axis=0)
    return found_P3[:, :2], found_P3[:, 2]


def flipped_hashes(thumbnails_NTT: NDArray[np.uint8]) -> NDArray[np.uint64]:
    """Perceptual hashes (4, N) of every thumbnail and its three mirror images, in the order of `MIRRORS`.

    The hash is the common one: signs of the 8 x 8 lowest frequencies of the cosine transform (type II) against their
    median. A flip only turns the sign of the odd frequencies, so that one transform serves all four.
    """
    from scipy.fft import dctn  # noqa: PLC0415 - scipy is a quarter of a second, and every command reads this file

    down_88, across_88 = np.indices((8, 8))
    signs_488 = (-1.0) ** np.stack([0 * down_88, across_88, down_88, down_88 + across_88])
    hashes_4N = np.empty((len(MIRRORS), len(thumbnails_NTT)), dtype=np.uint64)
    for start in range(0, len(thumbnails_NTT), _BLOCK):
        frequencies_BTT = dctn(thumbnails_NTT[start : start + _BLOCK].astype(np.float64), axes=(1, 2))
        # Rounded, so that the noise of the last digit is no sign: a flat picture has one hash.
        low_4B = (signs_488[:, None] * frequencies_BTT[None, :, :8, :8].round(6)).reshape(len(MIRRORS), -1, _BITS)
        bits_4B = low_4B > np.median(low_4B, axis=-1, keepdims=True)
        hashes_4N[:, start : start + _BLOCK] = np.packbits(bits_4B, axis=-1).view(">u8")[..., 0]
    return hashes_4N


def thumbnails(
    pixels_NSS3: NDArray[np.uint8],
    side: int = 32,
    *,
    slots_n: Ints | None = None,
    folder: Path | None = None,
) -> NDArray[np.uint8]:
    """Grey thumbnails (n, side, side) by area averaging (ITU-R 601 grey), in blocks: a memory map stays on disk.

    Of the images in `slots_n` (null: of all), in their order. With `folder` the thumbnails are a map of a file without
    a name on that disk, so that memory does not grow with n.
    """
    slots_n = np.arange(len(pixels_NSS3)) if slots_n is None else slots_n
    count, size = len(slots_n), pixels_NSS3.shape[1]
    shrink_TS = _area_weights(size, side)
    shape = (count, side, side)
    small_nTT = scratch_array(shape, np.uint8, folder) if folder else np.empty(shape, dtype=np.uint8)
    block = max(1, 8_000_000 // (3 * size * size))
    for start in range(0, count, block):
        grey_BSS = pixels_NSS3[slots_n[start : start + block]].astype(np.float32) @ _LUMA
        small_nTT[start : start + block] = np.rint(shrink_TS @ grey_BSS @ shrink_TS.T)
    return small_nTT


def verify_pairs(
    pairs_P2: Ints, thumbnails_NTT: NDArray[np.uint8], mirror_P: Ints | None = None
) -> NDArray[np.float64]:
    """Pearson correlation (P,) of the local contrast of two thumbnails, the second one flipped as mirror_P says.

    Local contrast is the picture less its blur (Gaussian, 2 px of 32). Heads and chests all share the large bright
    shape, so that the plain correlation of two strangers reads .75 to .9; their fine structure differs. It is blind to
    brightness and contrast, as a check for copies must be. A constant picture has correlation 1 with an equal one, else
    0. Computed in blocks of pairs in float64.
    """
    mirrors_P = np.zeros(len(pairs_P2), dtype=np.int64) if mirror_P is None else mirror_P
    correlation_P = np.empty(len(pairs_P2))
    for start in range(0, len(pairs_P2), _PAIRS_AT_ONCE):
        part = slice(start, start + _PAIRS_AT_ONCE)
        rows_R, places_B2 = np.unique(pairs_P2[part], return_inverse=True)
        contrast_RTT = _local_contrast(thumbnails_NTT[rows_R])
        first_B, second_B = places_B2.reshape(-1, 2).T
        flipped_BTT = _flip(contrast_RTT[second_B], mirrors_P[part])
        correlation_P[part] = np.einsum("bij,bij->b", contrast_RTT[first_B], flipped_BTT)
        flat_R = np.ptp(thumbnails_NTT[rows_R], axis=(1, 2)) == 0
        grey_R = thumbnails_NTT[rows_R, 0, 0]
        equal_B = flat_R[first_B] & flat_R[second_B] & (grey_R[first_B] == grey_R[second_B])
        correlation_P[part][equal_B] = 1.0
    return np.clip(correlation_P, -1.0, 1.0)


def group_images(given_N: NDArray[Any], pairs_P2: Ints) -> Ints:
    """Group numbers (N,), counted by first appearance: connected components of given groups and pairs.

    A missing given group (None, NaN) is a group of its own.
    """
    from scipy.sparse import coo_array, csgraph  # noqa: PLC0415

    count = len(given_N)
    named_N, names = pd.factorize(np.asarray(given_N, dtype=object))
    first_G = np.full(len(names), count)
    np.minimum.at(first_G, named_N[named_N >= 0], np.flatnonzero(named_N >= 0))
    rows = np.flatnonzero(named_N >= 0)
    one_E = np.append(pairs_P2[:, 0], rows)
    other_E = np.append(pairs_P2[:, 1], first_G[named_N[rows]])
    graph = coo_array((np.ones(len(one_E), dtype=np.int8), (one_E, other_E)), shape=(count, count))
    components_N = csgraph.connected_components(graph, directed=False)[1]
    return pd.factorize(components_N)[0].astype(np.int64)


def _close_hashes(unique_U: NDArray[np.uint64], max_distance: int) -> Ints:
    """Pairs of distinct hashes within the distance, as places in unique_U."""
    count, bands = len(unique_U), max_distance + 1
    codes = [np.empty(0, dtype=np.int64)]
    for band in range(bands):
        low, high = band * _BITS // bands, (band + 1) * _BITS // bands
        keys_U = (unique_U >> np.uint64(low)) & np.uint64((1 << (high - low)) - 1)
        order_U = np.argsort(keys_U, kind="stable")
        first_B, second_B = _close_in_buckets(keys_U[order_U], unique_U[order_U], max_distance)
        first_B, second_B = order_U[first_B], order_U[second_B]
        codes.append(np.minimum(first_B, second_B) * count + np.maximum(first_B, second_B))
    return np.stack(np.divmod(np.unique(np.concatenate(codes)), max(count, 1)), axis=1)


def _close_in_buckets(keys_U: NDArray[np.uint64], hashes_U: NDArray[np.uint64], max_distance: int) -> tuple[Ints, Ints]:
    """Close pairs inside runs of equal sorted keys: each hash against its 1st, 2nd, ... follower, all at once."""
    firsts, seconds = [np.empty(0, dtype=np.int64)], [np.empty(0, dtype=np.int64)]
    alive, step = np.arange(len(keys_U)), 0
    while len(alive):
        step += 1
        alive = alive[: np.searchsorted(alive, len(keys_U) - step)]
        alive = alive[keys_U[alive] == keys_U[alive + step]]
        close = alive[np.bitwise_count(hashes_U[alive] ^ hashes_U[alive + step]) <= max_distance]
        firsts.append(close)
        seconds.append(close + step)
    return np.concatenate(firsts), np.concatenate(seconds)


def _expand(links_L2: Ints, start_U: Ints, shown_U: Ints) -> tuple[Ints, Ints]:
    """From links between hashes to pairs between the images shown for them, as places in the order by hash."""
    left_L, right_L = links_L2.T
    counts_L = shown_U[left_L] * shown_U[right_L]
    link_P = np.repeat(np.arange(len(links_L2)), counts_L)
    within_P = np.arange(len(link_P)) - np.repeat(np.cumsum(counts_L) - counts_L, counts_L)
    row_P, column_P = np.divmod(within_P, shown_U[right_L[link_P]])
    return start_U[left_L[link_P]] + row_P, start_U[right_L[link_P]] + column_P


def _sorted_pairs(pairs_P2: Ints, count: int) -> Ints:
    """The pairs with i < j, each once, sorted; a row with itself is dropped."""
    low_P, high_P = np.sort(pairs_P2, axis=1).T
    codes_P = np.unique((low_P * count + high_P)[low_P < high_P])
    return np.stack(np.divmod(codes_P, max(count, 1)), axis=1)


def _area_weights(size: int, side: int) -> NDArray[np.float32]:
    """Row t holds what share of target pixel t each of the `size` source pixels covers."""
    edges = np.arange(side + 1) * (size / side)
    pixels_S = np.arange(size)
    overlap_TS = np.minimum(edges[1:, None], pixels_S + 1) - np.maximum(edges[:-1, None], pixels_S)
    return np.asarray(np.clip(overlap_TS, 0, None) * (side / size), dtype=np.float32)


def _local_contrast(small_RTT: NDArray[np.uint8]) -> NDArray[np.float64]:
    """Each picture less its blur, centred, at length one; a constant picture becomes zero."""
    from scipy.ndimage import gaussian_filter  # noqa: PLC0415

    grey_RTT = small_RTT.astype(np.float64)
    sharp_RTT = grey_RTT - gaussian_filter(grey_RTT, _LOCAL_SIGMA_PX, axes=(1, 2))
    sharp_RTT -= sharp_RTT.mean(axis=(1, 2), keepdims=True)
    sharp_RTT[np.ptp(small_RTT, axis=(1, 2)) == 0] = 0.0
    length_R = np.sqrt(np.einsum("rij,rij->r", sharp_RTT, sharp_RTT))
    return np.asarray(sharp_RTT / np.where(length_R > 0, length_R, 1.0)[:, None, None])


def _flip(pictures_BTT: NDArray[np.float64], mirror_B: Ints) -> NDArray[np.float64]:
    """Turn left-right where bit 1 is set and upside down where bit 2 is set."""
    flipped_BTT = np.where((mirror_B & 1 == 1)[:, None, None], pictures_BTT[:, :, ::-1], pictures_BTT)
    return np.where((mirror_B & 2 == 2)[:, None, None], flipped_BTT[:, ::-1], flipped_BTT)
