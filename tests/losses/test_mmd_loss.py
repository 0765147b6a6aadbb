"""MMD against double loops in float64, against the chapter's code, and against what chance gives."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.spatial.distance import pdist

from medical_transfer.losses.gaussian_kernel import SCALES, gaussian_kernel, median_bandwidth, squared_distances
from medical_transfer.losses.mmd import CHAPTER_BANDWIDTH, linear_mmd2, mmd2

sets = st.tuples(st.integers(0, 2**32 - 1), st.integers(2, 9), st.integers(2, 9), st.integers(1, 6), st.booleans())


def draw(seed: int, sources: int, targets: int, width: int, ties: bool) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    source, target = rng.normal(0, 1, (sources, width)), rng.normal(0.5, 2, (targets, width))
    return (np.round(source), np.round(target)) if ties else (source, target)


def looped(source, target, kernel, *, biased: bool) -> float:
    """Gretton et al. 2012, eq. 3 (U-statistic) or eq. 5 squared, term by term."""

    def mean(rows, others, *, same: bool) -> float:
        pairs = [kernel(x, y) for i, x in enumerate(rows) for j, y in enumerate(others) if biased or not same or i != j]
        return sum(pairs) / len(pairs)

    within = mean(source, source, same=True) + mean(target, target, same=True)
    return within - 2 * mean(source, target, same=False)


def gaussian_mean(bandwidth: float, scales):
    return lambda x, y: np.mean([math.exp(-((x - y) ** 2).sum() / (scale * bandwidth)) for scale in scales])


def of(function, source, target, **options) -> float:
    return float(function(torch.from_numpy(source), torch.from_numpy(target), **options))


@settings(max_examples=60, deadline=None)
@given(sets, st.sampled_from([(1.0,), SCALES, (0.5, 7.0)]), st.floats(0.1, 50), st.booleans())
def test_a_given_bandwidth_against_a_double_loop(shape, scales, bandwidth, biased):
    source, target = draw(*shape)
    expected = looped(source, target, gaussian_mean(bandwidth, scales), biased=biased)
    found = of(mmd2, source, target, scales=scales, bandwidth=bandwidth, biased=biased)
    assert found == pytest.approx(expected, rel=1e-9, abs=1e-12)
    assert not biased or found >= -1e-12


@settings(max_examples=60, deadline=None)
@given(sets, st.booleans())
def test_the_median_bandwidth_against_a_double_loop(shape, biased):
    source, target = draw(*shape[:4], False)
    pooled = sorted(pdist(np.concatenate([source, target]), "sqeuclidean"))
    bandwidth = pooled[(len(pooled) - 1) // 2]  # the lower of two middle ones, as torch has it
    expected = looped(source, target, gaussian_mean(bandwidth, SCALES), biased=biased)
    assert of(mmd2, source, target, biased=biased) == pytest.approx(expected, rel=1e-9, abs=1e-12)


def chapters_loss(source_features, target_features, kernel):
    """The chapter's 3.3 as it is printed, the tensor of (N, M, D) and all."""

    def gaussian_kernel(x, y, sigma=1.0):
        diff = x.unsqueeze(1) - y.unsqueeze(0)
        return torch.exp(-torch.sum(diff**2, dim=2) / (2 * sigma**2))

    k = gaussian_kernel if kernel == "rbf" else lambda x, y: torch.mm(x, y.t())
    xx = k(source_features, source_features).mean()
    yy = k(target_features, target_features).mean()
    xy = k(source_features, target_features).mean()
    return xx + yy - 2 * xy


@pytest.mark.parametrize("kernel", ["rbf", "linear"])
@pytest.mark.parametrize("spread", [0.1, 1.0])
def test_the_chapters_literal_settings_and_their_gradient(kernel, spread):
    generator = torch.Generator().manual_seed(0)
    source, target = (
        (spread * torch.randn(rows, 16, dtype=torch.float64, generator=generator)).requires_grad_() for rows in (12, 9)
    )
    ours = (
        mmd2(source, target, scales=(1.0,), bandwidth=CHAPTER_BANDWIDTH, biased=True)
        if kernel == "rbf"
        else linear_mmd2(source, target, biased=True)
    )
    theirs = chapters_loss(source, target, kernel)
    torch.testing.assert_close(ours, theirs, rtol=1e-10, atol=1e-13)
    for mine, chapters in zip(
        torch.autograd.grad(ours, (source, target)), torch.autograd.grad(theirs, (source, target)), strict=True
    ):
        torch.testing.assert_close(mine, chapters, rtol=1e-8, atol=1e-12)


def test_on_features_as_the_chapter_has_them_its_kernel_sees_nothing_and_the_median_does():
    """256 rectified features of two sites a standard deviation apart: its loss is the diagonal's 1/N + 1/M."""
    generator = torch.Generator().manual_seed(0)
    source = torch.randn(32, 256, generator=generator).relu()
    target = (torch.randn(32, 256, generator=generator) + 1).relu()
    literal = mmd2(source, target, scales=(1.0,), bandwidth=CHAPTER_BANDWIDTH, biased=True)
    assert float(literal) == pytest.approx(2 / 32, abs=1e-6)
    assert mmd2(source, target) > 0.1


@settings(max_examples=40, deadline=None)
@given(sets, st.booleans())
def test_linear_against_a_double_loop(shape, biased):
    source, target = draw(*shape)
    expected = looped(source, target, lambda x, y: float(x @ y), biased=biased)
    assert of(linear_mmd2, source, target, biased=biased) == pytest.approx(expected, rel=1e-9, abs=1e-9)


def test_linear_biased_is_the_squared_distance_of_means_by_hand():
    # means (1, 1) and (4, 5): 9 + 16; variances 2, 2 of two rows and 0: 25 - (2 + 2) / 2
    source, target = np.array([[0.0, 0.0], [2.0, 2.0]]), np.array([[4.0, 5.0], [4.0, 5.0], [4.0, 5.0]])
    assert of(linear_mmd2, source, target, biased=True) == pytest.approx(25)
    assert of(linear_mmd2, source, target) == pytest.approx(23)


@pytest.mark.parametrize("function", [mmd2, linear_mmd2])
def test_equal_distributions_give_zero_in_expectation(function):
    """Mean of 400 draws within 4 of its standard errors for the U-statistic; the biased form is off by far more."""
    rng = np.random.default_rng(0)
    options = {"bandwidth": 4.0} if function is mmd2 else {}
    draws = [(rng.normal(size=(6, 3)), rng.normal(size=(10, 3))) for _ in range(400)]
    unbiased = [of(function, source, target, **options) for source, target in draws]
    biased = [of(function, source, target, biased=True, **options) for source, target in draws]
    error = np.std(unbiased) / np.sqrt(len(draws))
    assert abs(np.mean(unbiased)) < 4 * error
    assert np.mean(biased) > 20 * error
    assert min(unbiased) < 0


def test_a_shift_shows():
    rng = np.random.default_rng(0)
    source, same, shifted, wider = (rng.normal(m, s, (60, 3)) for m, s in ((0, 1), (0, 1), (1, 1), (0, 3)))
    assert abs(of(mmd2, source, same)) < 0.03
    assert of(mmd2, source, shifted) > 0.1
    assert of(mmd2, source, wider) > 0.1, "not only means"


def test_the_bandwidth_is_detached():
    """The gradient is that of a fixed bandwidth of the same value."""
    source, target = (torch.from_numpy(rows).requires_grad_() for rows in draw(0, 6, 8, 3, False))
    rows = torch.cat([source, target])
    bandwidth = median_bandwidth(rows, squared_distances(rows))
    assert not bandwidth.requires_grad
    free = torch.autograd.grad(mmd2(source, target), (source, target))
    fixed = torch.autograd.grad(mmd2(source, target, bandwidth=float(bandwidth)), (source, target))
    for mine, expected in zip(free, fixed, strict=True):
        torch.testing.assert_close(mine, expected)


@pytest.mark.parametrize("value", [0.0, 0.1, 1e4])
def test_a_collapsed_batch_gives_no_distance_and_no_gradient_to_speak_of(value):
    """All rows equal: their distances are rounding, and so is their median; it must not be divided by."""
    source, target = (torch.full((rows, 7), value, requires_grad=True) for rows in (5, 6))
    loss = mmd2(source, target)
    loss.backward()
    assert loss.item() == pytest.approx(0, abs=1e-5)
    for rows in (source, target):
        assert torch.isfinite(rows.grad).all()
        assert rows.grad.norm() * max(value, 1) < 1e-3


def test_rows_that_differ_by_rounding_alone_are_taken_for_equal():
    generator = torch.Generator().manual_seed(0)
    source, target = (
        torch.nextafter(torch.full((rows, 7), 100.0), 200 * torch.rand(rows, 7, generator=generator)).requires_grad_()
        for rows in (5, 6)
    )
    loss = mmd2(source, target)
    loss.backward()
    assert loss.item() == pytest.approx(0, abs=1e-5)
    assert 100 * source.grad.norm() < 1, "relative to the rows; distances of rounding would give 1 / 1e-7"


@settings(max_examples=30, deadline=None)
@given(sets, st.floats(0.01, 100), st.floats(-50, 50))
def test_units_and_offsets_do_not_matter_with_the_median(shape, unit, offset):
    source, target = draw(*shape[:4], False)
    expected = of(mmd2, source, target)
    assert of(mmd2, unit * source + offset, unit * target + offset) == pytest.approx(expected, rel=1e-5, abs=1e-7)


def test_distances_against_scipy_with_a_large_offset_in_float32():
    rows = np.random.default_rng(0).normal(size=(20, 5)).astype(np.float32) + 1000
    found = squared_distances(torch.from_numpy(rows))[np.triu_indices(20, 1)]
    np.testing.assert_allclose(found, pdist(rows.astype(float), "sqeuclidean"), rtol=1e-4)


def test_kernels_by_hand():
    # distances 0, 1, 4 of 0, 1, 2 on a line; the median of 1, 1, 4 is 1
    rows = torch.tensor([[0.0], [1.0], [2.0]], dtype=torch.float64)
    e = math.exp
    expected = [(e(-d / 0.5) + e(-d / 2)) / 2 for d in (0, 1, 4)]
    kernel = gaussian_kernel(rows, scales=(0.5, 2.0))
    np.testing.assert_allclose(kernel[0], expected)
    assert torch.equal(kernel, kernel.T)
