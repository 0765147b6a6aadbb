from __future__ import annotations

import copy

import imagehash
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image
from scipy.ndimage import gaussian_filter

from medical_transfer.config.split import SplitConfig
from medical_transfer.splits import groups
from medical_transfer.splits.groups import (
    CROWD,
    flipped_hashes,
    group_images,
    hash_pairs,
    mirrored_pairs,
    near_duplicate_groups,
    thumbnails,
    verify_pairs,
)

FLIPS = [lambda a: a, lambda a: a[:, ::-1], lambda a: a[::-1], lambda a: a[::-1, ::-1]]


def brute_force(hashes, distance):
    values = [int(h) for h in hashes]
    return [
        [i, j]
        for i in range(len(values))
        for j in range(i + 1, len(values))
        if bin(values[i] ^ values[j]).count("1") <= distance
    ]


def flip_bits(base, bits):
    for bit in bits:
        base ^= 1 << bit
    return base


def nothing(count):
    return np.full(count, None, dtype=object)


def smooth_pictures(count, seed=0):
    noise = np.random.default_rng(seed).normal(size=(count, 32, 32))
    smooth = gaussian_filter(noise, 1.5, axes=(1, 2))
    low = smooth.min(axis=(1, 2), keepdims=True)
    return np.rint(255 * (smooth - low) / (smooth.max(axis=(1, 2), keepdims=True) - low)).astype(np.uint8)


# Hashes near a few centres, so that small distances occur, and repeated ones.
near_hashes = st.lists(
    st.builds(flip_bits, st.sampled_from([0, 2**64 - 1, 0x0123456789ABCDEF]), st.sets(st.integers(0, 63), max_size=7)),
    max_size=40,
)


@settings(max_examples=150, deadline=None)
@given(near_hashes, st.integers(0, 16))
def test_hash_pairs_equal_brute_force(values, distance):
    hashes = np.array(values, dtype=np.uint64)
    assert hash_pairs(hashes, distance).tolist() == brute_force(hashes, distance)


def test_hash_pairs_equal_brute_force_on_many_random_hashes():
    rng = np.random.default_rng(0)
    centres = rng.integers(0, 2**63, 40, dtype=np.uint64)
    hashes = rng.choice(centres, 400)
    for _ in range(4):
        hashes = hashes ^ (np.uint64(1) << rng.integers(0, 64, 400).astype(np.uint64))
    assert hash_pairs(hashes, 4).tolist() == brute_force(hashes, 4)


def test_hash_pairs_at_the_distance_and_one_bit_beyond():
    hashes = np.array([0, 0b1111, 0b11111], dtype=np.uint64)
    assert hash_pairs(hashes, 4).tolist() == [[0, 1], [1, 2]]
    assert hash_pairs(hashes, 5).tolist() == [[0, 1], [0, 2], [1, 2]]


@pytest.mark.parametrize("count", [0, 1])
def test_hash_pairs_of_nothing(count):
    pairs = hash_pairs(np.zeros(count, dtype=np.uint64), 4)
    assert pairs.shape == (0, 2)
    assert pairs.dtype == np.int64


def test_a_crowd_of_identical_hashes_becomes_a_star_around_its_first_image():
    hashes = np.zeros(20_000, dtype=np.uint64)
    hashes[0], hashes[7] = 2**63, 3  # one and two bits away from the crowd, which starts at row 1
    pairs = hash_pairs(hashes, 2)
    star = [[1, other] for other in range(2, 20_000)]
    assert pairs.tolist() == sorted([[0, 1], *star])  # 2**63 and 3 are three bits apart; [1, 7] is in the star's place


def test_a_crowd_keeps_the_components_of_all_pairs(monkeypatch):
    rng = np.random.default_rng(3)
    hashes = rng.choice(np.array([0, 1, 7, 2**40, 2**64 - 1], dtype=np.uint64), 60)
    everything = group_images(nothing(60), hash_pairs(hashes, 1))
    monkeypatch.setattr(groups, "CROWD", 3)
    assert len(hash_pairs(hashes, 1)) < 100
    np.testing.assert_array_equal(group_images(nothing(60), hash_pairs(hashes, 1)), everything)


def test_identical_hashes_up_to_the_crowd_give_all_pairs():
    assert len(hash_pairs(np.zeros(CROWD, dtype=np.uint64), 0)) == CROWD * (CROWD - 1) // 2


def test_flipped_hashes_are_those_of_the_flipped_pictures_by_imagehash():
    pictures = smooth_pictures(20)
    ours = flipped_hashes(pictures)
    for flip, ours_N in zip(FLIPS, ours, strict=True):
        theirs = [imagehash.phash(Image.fromarray(np.ascontiguousarray(flip(p)))).hash.ravel() for p in pictures]
        np.testing.assert_array_equal(np.unpackbits(ours_N.astype(">u8").view(np.uint8)).reshape(-1, 64), theirs)


def test_flat_pictures_share_one_hash_in_all_flips():
    flat = np.full((3, 32, 32), 77, dtype=np.uint8)
    assert len(np.unique(flipped_hashes(flat))) == 1


@pytest.mark.parametrize("mirror", [1, 2, 3])
def test_mirrored_copies_are_found_with_their_flip(mirror):
    pictures = smooth_pictures(6)
    pictures[4] = FLIPS[mirror](pictures[1])
    pairs, flips = mirrored_pairs(pictures, 4)
    assert (pairs.tolist(), flips.tolist()) == ([[1, 4]], [mirror])
    assert verify_pairs(pairs, pictures, flips)[0] == pytest.approx(1)


def test_a_symmetric_picture_is_no_pair_with_itself():
    half = smooth_pictures(1)[:, :, :16]
    pairs, _ = mirrored_pairs(np.concatenate([half, half[:, :, ::-1]], axis=2), 4)
    assert pairs.shape == (0, 2)


def test_thumbnails_average_areas_of_grey():
    pixels = np.random.default_rng(0).integers(0, 256, (5, 64, 64, 3), dtype=np.uint8)
    grey = pixels @ np.array([0.299, 0.587, 0.114])
    expected = grey.reshape(5, 32, 2, 32, 2).mean(axis=(2, 4))
    assert np.abs(thumbnails(pixels) - expected).max() <= 0.5 + 1e-4
    assert thumbnails(pixels).dtype == np.uint8


def test_thumbnails_share_out_pixels_that_straddle_an_edge():
    row = np.array([30, 60, 90], dtype=np.uint8)  # three pixels to two: (30 + 60/2) / 1.5 = 40, (60/2 + 90) / 1.5 = 80
    pixels = np.broadcast_to(row[None, None, :, None], (1, 3, 3, 3))
    assert thumbnails(pixels, side=2).tolist() == [[[40, 80], [40, 80]]]


def test_thumbnails_of_small_pictures_are_enlarged_and_blocks_do_not_matter():
    pixels = np.random.default_rng(1).integers(0, 256, (130, 300, 300, 3), dtype=np.uint8)
    many = thumbnails(pixels)  # 130 pictures of 300 pixels are several blocks
    one_by_one = np.concatenate([thumbnails(pixels[i : i + 1]) for i in (0, 64, 129)])
    np.testing.assert_array_equal(many[[0, 64, 129]], one_by_one)
    assert thumbnails(np.full((2, 28, 28, 3), 9, dtype=np.uint8)).tolist() == np.full((2, 32, 32), 9).tolist()


def test_thumbnails_of_some_slots_in_a_file_are_those_in_memory(tmp_path):
    pixels = np.random.default_rng(2).integers(0, 256, (130, 300, 300, 3), dtype=np.uint8)
    slots = np.array([129, 3, 70, 3])
    mapped = thumbnails(pixels, slots_n=slots, folder=tmp_path)
    np.testing.assert_array_equal(mapped, thumbnails(pixels)[slots])
    assert isinstance(mapped.base, np.memmap)
    assert thumbnails(pixels, slots_n=slots[:0], folder=tmp_path).shape == (0, 32, 32)


def test_copies_of_near_duplicates_are_the_same_arrays():
    given = np.full(3, None, dtype=object)
    found = near_duplicate_groups(given, np.zeros(3, dtype=np.uint64), smooth_pictures(3), SplitConfig())
    assert copy.deepcopy(found) is found


def test_verify_pairs_equals_corrcoef_of_the_local_contrast_over_blocks(monkeypatch):
    monkeypatch.setattr(groups, "_PAIRS_AT_ONCE", 7)
    pictures = smooth_pictures(12)
    rng = np.random.default_rng(0)
    pairs, mirror = rng.integers(0, 12, (40, 2)), rng.integers(0, 4, 40)

    def contrast(picture):
        return picture.astype(float) - gaussian_filter(picture.astype(float), 2.0)

    expected = [
        np.corrcoef(contrast(pictures[i]).ravel(), FLIPS[m](contrast(pictures[j])).ravel())[0, 1]
        for (i, j), m in zip(pairs, mirror, strict=True)
    ]
    np.testing.assert_allclose(verify_pairs(pairs, pictures, mirror), expected, atol=1e-10)


def test_verify_pairs_does_not_see_brightness_and_contrast():
    picture = smooth_pictures(1)[0] // 4
    pair = np.stack([picture, picture * 3 + 20])
    assert verify_pairs(np.array([[0, 1]]), pair)[0] == pytest.approx(1, abs=1e-12)


def test_constant_pictures_correlate_with_equal_ones_only():
    pictures = np.zeros((4, 32, 32), dtype=np.uint8)
    pictures[2], pictures[3] = 255, smooth_pictures(1)[0]
    assert verify_pairs(np.array([[0, 1], [0, 2], [0, 3]]), pictures).tolist() == [1.0, 0.0, 0.0]


def test_verification_keeps_a_copy_and_lets_a_look_alike_apart():
    """Two strangers of one outline correlate above .9 plainly; only the noisy copy agrees in its fine structure."""
    down, across = np.indices((32, 32)) - 15.5
    head = gaussian_filter(170.0 * (down**2 / 2 + across**2 < 90), 2.5)
    rng = np.random.default_rng(0)
    tissue = gaussian_filter(rng.normal(size=(2, 32, 32)), 1, axes=(1, 2)) * 0.4 * head
    first, stranger = head + tissue[0], head + tissue[1]
    copy = 0.8 * first + 10 + rng.normal(size=(32, 32))
    pictures = np.clip(np.stack([first, copy, stranger]) + 40, 0, 255).astype(np.uint8)
    assert np.corrcoef(pictures[0].ravel(), pictures[2].ravel())[0, 1] > 0.9
    with_copy, with_stranger = verify_pairs(np.array([[0, 1], [0, 2]]), pictures)
    assert with_copy > 0.9
    assert with_stranger < 0.7


def test_group_images_joins_given_groups_and_pairs_by_first_appearance():
    given_N = np.array(["b", None, "a", "b", np.nan, None, "a"], dtype=object)
    assert group_images(given_N, np.empty((0, 2), dtype=np.int64)).tolist() == [0, 1, 2, 0, 3, 4, 2]
    assert group_images(given_N, np.array([[1, 5], [3, 6]])).tolist() == [0, 1, 0, 0, 2, 1, 0]


@settings(max_examples=60, deadline=None)
@given(st.integers(1, 25), st.data())
def test_group_images_equals_a_flood_fill(count, data):
    names = data.draw(st.lists(st.sampled_from(["a", "b", "c", None]), min_size=count, max_size=count))
    index = st.integers(0, count - 1)
    pairs = data.draw(st.lists(st.tuples(index, index), max_size=15))
    label_N = list(range(count))
    links = pairs + [(i, j) for i in range(count) for j in range(i) if names[i] is not None and names[i] == names[j]]
    for _ in range(count):
        for i, j in links:
            label_N[i] = label_N[j] = min(label_N[i], label_N[j])
    firsts = sorted(set(label_N))  # the least row of a component is where it first appears
    expected = [firsts.index(label) for label in label_N]
    found = group_images(np.array(names, dtype=object), np.array(pairs, dtype=np.int64).reshape(-1, 2))
    assert found.tolist() == expected


def test_near_duplicate_groups_ties_it_together():
    pictures = smooth_pictures(8)
    pictures[3] = pictures[0]
    pictures[5] = pictures[1][:, ::-1]
    hashes = flipped_hashes(pictures)[0]
    hashes[6] = hashes[2]  # same hash, other picture
    given_N = nothing(8)
    given_N[[4, 7]] = "patient"
    config = SplitConfig(pixel_correlation=0.7)
    found = near_duplicate_groups(given_N, hashes, pictures, config)
    assert found.pairs.tolist() == [[0, 3], [2, 6], [1, 5]]
    assert found.mirror.tolist() == [0, 0, 1]
    assert found.kept.tolist() == [True, False, True]
    assert found.given_group.tolist() == [0, 1, 2, 3, 4, 5, 6, 4]
    assert found.group.tolist() == [0, 1, 2, 0, 3, 1, 4, 3]
    upright = near_duplicate_groups(given_N, hashes, pictures, config.model_copy(update={"mirrored_copies": False}))
    assert upright.pairs.tolist() == [[0, 3], [2, 6]]
    off = near_duplicate_groups(given_N, hashes, pictures, SplitConfig(near_duplicates=False))
    assert len(off.pairs) == 0
    np.testing.assert_array_equal(off.group, found.given_group)
