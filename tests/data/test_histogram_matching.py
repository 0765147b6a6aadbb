"""Grey levels of one site on those of another: by hand, and as scikit-image has it where that is installed."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from medical_transfer.data.cache import ImageCache
from medical_transfer.data.histogram_matching import histograms, level_map, match_cache, matched
from medical_transfer.runtime.files import write_json


def counts(**levels: int) -> np.ndarray:
    found = np.zeros(256, dtype=np.int64)
    for name, count in levels.items():
        found[int(name[1:])] = count
    return found


def test_levels_by_hand() -> None:
    """A quarter of the source is at 10, half at 20, a quarter at 30; of the target a quarter at 100, the rest at 200.

    The share up to 10 is .25, which is that up to 100; .75 lies between .25 (100) and 1 (200), two thirds of the way.
    """
    found = level_map(counts(_10=1, _20=2, _30=1), counts(_100=1, _200=3))
    assert found[[10, 20, 30]].tolist() == [100, 167, 200]


def test_the_same_levels_stay_and_darker_than_any_is_the_darkest() -> None:
    own = counts(_3=5, _7=1, _250=2)
    assert level_map(own, own)[[3, 7, 250]].tolist() == [3, 7, 250]
    assert level_map(own, own)[0] == 3


@given(st.integers(0, 2**32 - 1))
def test_a_map_never_falls_and_stays_within_the_reference(seed: int) -> None:
    rng = np.random.default_rng(seed)
    own, reference = (rng.integers(0, 4, 256) * rng.integers(0, 2, 256) + (np.arange(256) == 9) for _ in range(2))
    found = level_map(own, reference).astype(int)
    assert (np.diff(found) >= 0).all()
    assert found.min() >= np.flatnonzero(reference).min()
    assert found.max() == np.flatnonzero(reference).max()


def test_a_rising_change_of_all_levels_is_undone_exactly() -> None:
    """The second site shows the same scene by another curve: the cumulated shares agree level by level."""
    rng = np.random.default_rng(0)
    here = rng.integers(0, 100, (4, 16, 16, 3), dtype=np.uint8)
    there = (2 * here + 30).astype(np.uint8)
    np.testing.assert_array_equal(matched(here, histograms(here), histograms(there)), there)


def test_channels_are_mapped_by_themselves_as_scikit_image_does() -> None:
    exposure = pytest.importorskip("skimage.exposure", reason="needs scikit-image (extra peers)")
    rng = np.random.default_rng(1)
    here, there = (rng.integers(low, high, (20, 24, 3), dtype=np.uint8) for low, high in ((0, 120), (60, 256)))
    ours = matched(here[None], histograms(here[None]), histograms(there[None]))[0].astype(int)
    theirs = exposure.match_histograms(here.astype(np.uint8), there, channel_axis=-1).astype(int)
    assert np.abs(ours - theirs).max() <= 1  # it cuts what we round


def cache(root: Path, pixels: np.ndarray, key: str) -> ImageCache:
    folder = root / key
    folder.mkdir()
    np.save(folder / "pixels.npy", pixels)
    pd.DataFrame({"image_id": [f"i{n}" for n in range(len(pixels))]}).to_parquet(folder / "audit.parquet")
    facts = {"size": pixels.shape[1], "fit": "squash", "n": len(pixels), "key": key, "fingerprint": "f"}
    write_json(folder / "meta.json", facts)
    return ImageCache(folder)


@pytest.fixture
def sites(tmp_path: Path) -> tuple[ImageCache, ImageCache]:
    rng = np.random.default_rng(2)
    here = rng.integers(0, 90, (6, 8, 8, 3), dtype=np.uint8)
    there = rng.integers(100, 255, (5, 8, 8, 3), dtype=np.uint8)
    return cache(tmp_path, here, "here"), cache(tmp_path, there, "there")


def match(sites: tuple[ImageCache, ImageCache], root: Path, **asked: object) -> ImageCache:
    given = {"used_n": np.arange(5), "train_n": np.array([0, 1]), "target_train_m": np.array([2, 3])}
    return match_cache(*sites, **{**given, "rule": "site", "seed": 0, "root": root / "matched", **asked})


def test_a_site_has_one_map_by_training_images_of_both(sites: tuple[ImageCache, ImageCache], tmp_path: Path) -> None:
    found = match(sites, tmp_path)
    here, there = (each.pixels_NSS3 for each in sites)
    expected = matched(here[:5], histograms(here[:2]), histograms(there[2:4]))
    np.testing.assert_array_equal(found.pixels_NSS3[:5], expected)
    assert not found.pixels_NSS3[5].any()
    assert found.key not in {each.key for each in sites}
    assert found.slots(["i3"]).tolist() == [3]
    assert match(sites, tmp_path).folder == found.folder
    assert match(sites, tmp_path, target_train_m=np.array([2])).folder != found.folder
    assert match(sites, tmp_path, seed=1).folder == found.folder  # nothing is drawn


def test_by_image_each_takes_the_levels_of_one_image(sites: tuple[ImageCache, ImageCache], tmp_path: Path) -> None:
    found = match(sites, tmp_path, rule="image").pixels_NSS3
    here, there = (each.pixels_NSS3 for each in sites)
    for slot in range(5):
        candidates = [matched(here[[slot]], histograms(here[[slot]]), histograms(there[[m]]))[0] for m in (2, 3)]
        assert any(np.array_equal(found[slot], each) for each in candidates)
    assert match(sites, tmp_path, rule="image", seed=3).folder != match(sites, tmp_path, rule="image").folder
