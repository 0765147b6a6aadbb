"""Losses and scores of adaptation beside pytorch-adapt's, where both define the same thing (docs/peers.md)."""

from __future__ import annotations

import warnings

import numpy as np
import pytest
import torch

from medical_transfer.layers.gradient_reversal import reverse_gradient
from medical_transfer.losses.cdan import entropy_weights
from medical_transfer.losses.classifier_discrepancy import classifier_discrepancy
from medical_transfer.losses.coral import coral
from medical_transfer.losses.jmmd import jmmd2
from medical_transfer.losses.mmd import mmd2
from medical_transfer.metrics.importance_weighted import dev_risk
from medical_transfer.metrics.label_free import batch_nuclear_norm, information_maximisation, soft_neighbourhood_density

with warnings.catch_warnings():
    warnings.simplefilter("ignore")  # its own imports
    layers = pytest.importorskip(
        "pytorch_adapt.layers", reason="needs pytorch-adapt (docs/peers.md)", exc_type=ImportError
    )

pytestmark = pytest.mark.filterwarnings("ignore")
SCALES = (0.25, 1.0, 4.0)
SEEDS = (0, 1, 2)


def rows(n: int, width: int, seed: int, shift: float = 0.0) -> torch.Tensor:
    generator = torch.Generator().manual_seed(seed)
    return (torch.randn(n, width, generator=generator, dtype=torch.float64) + shift).requires_grad_()


def agree(ours: torch.Tensor, theirs: torch.Tensor, *inputs: torch.Tensor) -> None:
    """Value and gradients."""
    torch.testing.assert_close(ours, theirs, rtol=1e-8, atol=1e-10)
    for mine, other in zip(torch.autograd.grad(ours, inputs), torch.autograd.grad(theirs, inputs), strict=True):
        torch.testing.assert_close(mine, other, rtol=1e-7, atol=1e-10)


@pytest.mark.parametrize("seed", SEEDS)
def test_coral(seed: int) -> None:
    source, target = rows(9, 6, seed), rows(7, 6, seed + 10, 1.0)
    agree(coral(source, target), layers.CORALLoss()(source, target), source, target)


def kernels(bandwidth: float) -> torch.nn.Module:
    multiples = 1 / torch.tensor(SCALES, dtype=torch.float64)
    return layers.MMDLoss(kernel_scales=multiples, mmd_type="quadratic", bandwidth=bandwidth)


@pytest.mark.parametrize("seed", SEEDS)
def test_unbiased_mmd_of_unequal_batches_at_one_bandwidth(seed: int) -> None:
    source, target = rows(9, 6, seed), rows(7, 6, seed + 10, 1.0)
    agree(mmd2(source, target, scales=SCALES, bandwidth=3.0), kernels(3.0)(source, target), source, target)


@pytest.mark.parametrize("seed", SEEDS)
def test_unbiased_joint_mmd(seed: int) -> None:
    """Its matrices are made in place of one another, so only values are compared."""
    source = [rows(9, 6, seed), rows(9, 3, seed + 1)]
    target = [rows(7, 6, seed + 10, 1.0), rows(7, 3, seed + 11, 0.5)]
    ours = jmmd2(source, target, scales=SCALES, bandwidths=[3.0, 3.0])
    with torch.no_grad():
        torch.testing.assert_close(ours.detach(), kernels(3.0)(source, target), rtol=1e-8, atol=1e-10)


@pytest.mark.parametrize("seed", SEEDS)
def test_classifier_discrepancy(seed: int) -> None:
    one, other = rows(8, 4, seed), rows(8, 4, seed + 1)
    agree(classifier_discrepancy(one, other), layers.MCDLoss()(one, other), one, other)


@pytest.mark.parametrize("seed", SEEDS)
def test_entropy_weights(seed: int) -> None:
    logits = rows(8, 4, seed)
    theirs = layers.EntropyWeights(normalizer=torch.nn.Identity())(logits)
    agree(entropy_weights(logits).sum(), theirs.sum(), logits)
    torch.testing.assert_close(entropy_weights(logits), theirs)


def test_gradient_reversal() -> None:
    inputs = rows(5, 3, 0)
    agree(
        reverse_gradient(inputs, 0.3).square().sum(),
        layers.GradientReversal(torch.tensor([0.3], dtype=torch.float64))(inputs).square().sum(),
        inputs,
    )


@pytest.mark.parametrize("seed", SEEDS)
def test_scores_of_target_predictions(seed: int) -> None:
    validators = pytest.importorskip("pytorch_adapt.validators", exc_type=ImportError)
    logits = (3 * rows(40, 5, seed)).detach()
    stated = logits.softmax(dim=1)
    given = {"preds": stated, "logits": logits}
    density = validators.SNDValidator()(target_train=given)
    assert soft_neighbourhood_density(stated.numpy()) == pytest.approx(density, rel=1e-6)
    mutual = validators.IMValidator()(target_train=given)
    assert information_maximisation(stated.numpy()) == pytest.approx(mutual, rel=1e-6)
    nuclear = -layers.BNMLoss()(logits).item() * 40 / np.sqrt(40 * 5)  # theirs is divided by N alone
    assert batch_nuclear_norm(stated.numpy()) == pytest.approx(nuclear, rel=1e-6)


@pytest.mark.parametrize("seed", SEEDS)
def test_the_risk_of_deep_embedded_validation(seed: int) -> None:
    module = pytest.importorskip("pytorch_adapt.validators.deep_embedded_validator", exc_type=ImportError)
    rng = np.random.default_rng(seed)
    losses, weights = rng.exponential(size=30), rng.lognormal(size=30)
    theirs = module.get_dev_risk(torch.from_numpy(weights)[:, None], torch.from_numpy(losses)[:, None], None)
    assert dev_risk(losses, weights) == pytest.approx(float(theirs), rel=1e-6)
