"""The outer product against numpy; its random sketch keeps inner products in expectation."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from medical_transfer.layers.multilinear_map import MultilinearMap


def pair(images: int, width: int, classes: int, seed: int = 0) -> tuple[torch.Tensor, torch.Tensor]:
    rng = np.random.default_rng(seed)
    return (
        torch.from_numpy(rng.normal(size=(images, width))),
        torch.from_numpy(rng.dirichlet(np.ones(classes), size=images)),
    )


def test_small_ones_are_outer_products():
    features, probabilities = pair(5, 4, 3)
    joined = MultilinearMap(4, 3, seed=0)
    expected = np.stack([np.outer(f, g).ravel() for f, g in zip(features.numpy(), probabilities.numpy(), strict=True)])
    np.testing.assert_allclose(joined(features, probabilities).numpy(), expected)
    assert joined.dim == 12
    assert list(joined.buffers()) == []


@pytest.mark.parametrize(("width", "classes", "dim"), [(2048, 2, 4096), (1024, 4, 4096), (1280, 4, 1024)])
def test_the_sketch_begins_above_4096(width, classes, dim):
    joined = MultilinearMap(width, classes, seed=0)
    assert joined.dim == dim
    assert joined.randomised == (width * classes > 4096)
    features, probabilities = pair(2, width, classes)
    assert joined(features.float(), probabilities.float()).shape == (2, dim)


def test_the_sketch_is_the_papers_product_of_projections():
    joined = MultilinearMap(6, 3, seed=4, largest=1, sketched=5).double()
    features, probabilities = pair(7, 6, 3)
    f_NR = features.numpy() @ joined.feature_projection_DR.numpy()
    g_NR = probabilities.numpy() @ joined.class_projection_CR.numpy()
    np.testing.assert_allclose(joined(features, probabilities).numpy(), f_NR * g_NR / np.sqrt(5))


def test_the_sketch_keeps_inner_products_in_expectation():
    """E <T, T'> = <f, f'> <g, g'>: the mean of 400 independent maps lies within 4 of its own standard errors."""
    features, probabilities = pair(2, 6, 3)
    features = features.abs()  # so that the product is far from 0
    products = []
    for seed in range(400):
        first, second = MultilinearMap(6, 3, seed=seed, largest=1, sketched=8).double()(features, probabilities)
        products.append(float(first @ second))
    expected = float((features[0] @ features[1]) * (probabilities[0] @ probabilities[1]))
    assert abs(np.mean(products) - expected) < 4 * np.std(products) / np.sqrt(len(products))
    assert abs(expected) > 4 * np.std(products) / np.sqrt(len(products)), "the test could not tell it from nothing"


def test_the_matrices_come_from_the_seed_and_are_saved():
    first, again, other = (MultilinearMap(6, 3, seed=seed, largest=1) for seed in (0, 0, 1))
    assert torch.equal(first.feature_projection_DR, again.feature_projection_DR)
    assert not torch.equal(first.feature_projection_DR, other.feature_projection_DR)
    other.load_state_dict(first.state_dict())
    assert torch.equal(first.class_projection_CR, other.class_projection_CR)
    assert list(first.parameters()) == []


@pytest.mark.parametrize("largest", [4096, 1])
def test_both_arguments_get_the_gradient_of_finite_differences(largest):
    features, probabilities = pair(3, 4, 3)
    joined = MultilinearMap(4, 3, seed=0, largest=largest, sketched=5).double()
    assert torch.autograd.gradcheck(joined, (features.requires_grad_(), probabilities.requires_grad_()))
