"""Deletion and insertion on a model whose probability is linear in the pixels, so that areas are known by hand."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from scipy.stats import spearmanr
from torch import Tensor

from medical_transfer.evaluation.explanations.deletion import area, curve, ends, enlarged, places, shuffled
from medical_transfer.evaluation.explanations.rivals import compared, curves_of

SIZE = 8


def left_red(images: Tensor) -> Tensor:
    """Probability: the mean of red over the left half."""
    return images[:, 0, :, : SIZE // 2].mean(dim=(1, 2))


def half_bright() -> Tensor:
    image = torch.zeros(3, SIZE, SIZE, dtype=torch.float64)
    image[0, :, : SIZE // 2] = 1
    return image


def left_first(sign: float = 1) -> np.ndarray:
    return sign * np.repeat(np.arange(SIZE, 0, -1.0)[None], SIZE, axis=0)


def test_areas_of_a_linear_model_by_hand() -> None:
    """Left columns hold 1 and become 1/2, column by column, over the first half of the pixels; then nothing changes."""
    start, end = ends(half_bright(), "deletion")
    assert end[0].unique().tolist() == [0.5]
    place = places(left_first(), SIZE, np.random.default_rng(0))
    found = curve(left_red, start, end, place, SIZE)
    np.testing.assert_allclose(found, [1, 0.875, 0.75, 0.625, 0.5, 0.5, 0.5, 0.5, 0.5])
    assert area(found) == pytest.approx(0.75 * 0.5 + 0.5 * 0.5)
    worst = curve(left_red, start, end, places(left_first(-1), SIZE, np.random.default_rng(0)), SIZE)
    assert area(worst) == pytest.approx(1 * 0.5 + 0.75 * 0.5)


def test_insertion_ends_at_the_image_and_begins_with_less_detail() -> None:
    image = torch.rand(3, 40, 40, dtype=torch.float64)
    start, end = ends(image, "insertion")
    assert torch.equal(end, image)
    assert start.var() < 0.2 * image.var()
    np.testing.assert_allclose(start.mean(), image.mean(), rtol=0.02)


def test_equal_pixels_come_in_an_order_by_chance_and_others_by_their_value() -> None:
    flat, rng = np.zeros((4, 4)), np.random.default_rng(1)
    one, other = (places(flat, 16, rng) for _ in range(2))
    assert sorted(one.ravel()) == list(range(256))
    assert abs(spearmanr(one, other, axis=None).statistic) < 0.9
    assert not np.array_equal(one, np.arange(256).reshape(16, 16))
    map_gg = rng.random((4, 4))
    order = places(map_gg, 16, rng).ravel().argsort()
    assert (np.diff(enlarged(map_gg, 16).ravel()[order]) <= 0).all()


def test_shuffled_cells_are_the_same_cells() -> None:
    map_gg = np.arange(36.0).reshape(6, 6)
    moved = shuffled(map_gg, np.random.default_rng(2))
    assert sorted(moved.ravel()) == sorted(map_gg.ravel())
    assert (moved != map_gg).any()


@pytest.mark.parametrize(("sign", "better"), [(1, True), (-1, False)])
def test_a_map_of_what_matters_leads_and_its_contrary_lags(sign: float, better: bool) -> None:
    rng, n = np.random.default_rng(3), 12
    images = half_bright().repeat(n, 1, 1, 1)
    maps_Ngg = np.stack([left_first(sign)] * n)
    curves = curves_of(
        lambda target, mixed: left_red(mixed) if target else 1 - left_red(mixed),
        images,
        np.ones(n, dtype=np.int64),
        maps_Ngg,
        steps=SIZE,
        random_orders=2,
        rng=rng,
    )
    told = compared(curves, np.arange(n), resamples=300, coverage=0.95, seed=0)
    lead = told["deletion"]["lead"]["random"]
    # random cells take the left half away over the whole walk: from 1 to 1/2 in a straight line, area 3/4
    assert lead["estimate"] == pytest.approx(0.125 if better else -0.125, abs=0.03)
    assert (lead["low"] > 0) == better
    assert (lead["high"] > 0) == better
    assert (told["insertion"]["lead"]["random"]["estimate"] > 0) == better
    other = told["deletion"]["lead"]["other_image"]
    assert (other["estimate"], other["n"]) == (pytest.approx(0, abs=1e-12), n)
