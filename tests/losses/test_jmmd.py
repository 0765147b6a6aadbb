"""Joint MMD against a loop over pairs and layers; it sees a dependence that each layer alone does not."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch

from medical_transfer.losses.jmmd import jmmd2
from medical_transfer.losses.mmd import mmd2


def layers(seed: int, rows: int, widths=(4, 3)) -> list[np.ndarray]:
    rng = np.random.default_rng(seed)
    return [rng.normal(seed % 2, 1, (rows, width)) for width in widths]


def tensors(matrices) -> list[torch.Tensor]:
    return [torch.from_numpy(matrix) for matrix in matrices]


@pytest.mark.parametrize("biased", [True, False])
def test_against_a_loop(biased):
    source, target, bandwidths, scales = layers(0, 5), layers(1, 7), (3.0, 2.0), (0.5, 2.0)

    def kernel(left, i, right, j) -> float:
        product = 1.0
        for x, y, b in zip(left, right, bandwidths, strict=True):
            product *= np.mean([math.exp(-((x[i] - y[j]) ** 2).sum() / (s * b)) for s in scales])
        return product

    def mean(left, right, *, same: bool) -> float:
        pairs = [
            kernel(left, i, right, j)
            for i in range(len(left[0]))
            for j in range(len(right[0]))
            if biased or not same or i != j
        ]
        return sum(pairs) / len(pairs)

    within = mean(source, source, same=True) + mean(target, target, same=True)
    expected = within - 2 * mean(source, target, same=False)
    found = jmmd2(tensors(source), tensors(target), bandwidths=bandwidths, scales=scales, biased=biased)
    assert float(found) == pytest.approx(expected, rel=1e-10)


def test_one_layer_is_mmd():
    source, target = tensors(layers(0, 5)), tensors(layers(1, 7))
    torch.testing.assert_close(jmmd2(source[:1], target[:1]), mmd2(source[0], target[0]))


def test_a_dependence_that_differs_shows_though_each_layer_is_alike():
    rng = np.random.default_rng(0)
    first, second = rng.normal(size=(2, 200, 1))
    source, target = tensors([first, first]), tensors([second, -second])
    assert abs(float(mmd2(source[0], target[0]))) < 0.02
    assert abs(float(mmd2(source[1], target[1]))) < 0.02
    assert jmmd2(source, target) > 0.1


def test_zero_in_expectation_for_equal_distributions():
    rng = np.random.default_rng(0)

    def pair(rows: int) -> list[torch.Tensor]:
        features = rng.normal(size=(rows, 3))
        return tensors([features, np.tanh(features[:, :2])])

    found = [float(jmmd2(pair(6), pair(9), bandwidths=(4, 1))) for _ in range(300)]
    assert abs(np.mean(found)) < 4 * np.std(found) / np.sqrt(len(found))


def test_layers_that_do_not_match_are_refused():
    source, target = tensors(layers(0, 5)), tensors(layers(1, 7))
    with pytest.raises(ValueError, match="zip"):
        jmmd2(source, target[:1])
    with pytest.raises(ValueError, match="needs a layer"):
        jmmd2([], [])
