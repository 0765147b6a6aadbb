"""The pieces of a linear head on aligned features; the whole runs in `medical_adaptation`."""

from __future__ import annotations

from dataclasses import dataclass
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from scipy.optimize import minimize
from scipy.special import log_softmax

import toy
from medical_transfer.config.training import Finetune, Training
from medical_transfer.models.inference import classify_features
from medical_transfer.models.source_view import SourceView, source_view
from medical_transfer.training import feature_alignment


@dataclass
class Learned:
    """What `_fit_head` reads of a learning set."""

    classes: tuple[str, ...]
    train: Any


def features(n: int, seed: int, width: int, shift: float = 0.0) -> torch.Tensor:
    return torch.randn(n, width, generator=torch.Generator().manual_seed(seed)) * (1 + shift) + shift


def test_the_view_takes_features_scaled_by_the_target_to_aligned_ones() -> None:
    """Standardised by the source and recoloured: mean 0, and the target's covariance where there is hardly a ridge."""
    network = toy.classifier(dropout=0.0)
    width = network.trunk.feature_dim
    source_ND, target_MD = features(400, 0, width, 1.0), features(300, 1, width, 3.0)
    view = feature_alignment._aligned(network, source_ND, target_MD, 1e-9)
    aligned_ND = view.of(feature_alignment._standard(network, source_ND))
    target_scaled_MD = feature_alignment._standard(network, target_MD)
    np.testing.assert_allclose(aligned_ND.mean(axis=0), 0, atol=1e-5)
    np.testing.assert_allclose(target_scaled_MD.mean(axis=0), 0, atol=1e-5)
    np.testing.assert_allclose(np.cov(aligned_ND.T), np.cov(target_scaled_MD.T), atol=1e-3)


@pytest.mark.parametrize(("classes", "weighted"), [(2, True), (2, False), (3, True)])
def test_the_head_is_at_the_optimum_of_what_a_linear_head_learns(classes: int, weighted: bool) -> None:
    rng = np.random.default_rng(classes)
    labels_N = np.arange(60) % classes
    labels_N[:20] = 0
    network = toy.classifier(dropout=0.0, classes=classes)
    rows_ND = rng.normal(size=(60, network.embedded_dim)) + labels_N[:, None]
    training = Training(class_weights=weighted, finetune=Finetune(head_l2=0.3))
    learned = Learned(("a", "b", "c")[:classes], SimpleNamespace(labels_N=labels_N))
    feature_alignment._fit_head(network, rows_ND, learned, SimpleNamespace(training=training))
    counts_C = np.bincount(labels_N)
    weight_C = len(labels_N) / (classes * counts_C) if weighted else np.ones(classes)

    def loss(flat: np.ndarray) -> float:
        weight_CD, bias_C = flat[:-classes].reshape(classes, -1), flat[-classes:]
        log_NC = log_softmax(rows_ND @ weight_CD.T + bias_C, axis=1)
        mean = -(weight_C[labels_N] * log_NC[np.arange(60), labels_N]).mean()
        return float(mean + 0.15 * (weight_CD**2).sum())

    best = minimize(loss, np.zeros(classes * (network.embedded_dim + 1)), method="L-BFGS-B", options={"maxfun": 10**6})
    expected = rows_ND @ best.x[:-classes].reshape(classes, -1).T + best.x[-classes:] - np.log(weight_C)
    found = classify_features(network.eval(), rows_ND)
    centred = [each - each.mean(axis=1, keepdims=True) for each in (found, expected)]
    np.testing.assert_allclose(*centred, atol=5e-3)


def test_a_view_comes_back_and_is_none_where_there_is_none(tmp_path) -> None:
    assert source_view(tmp_path) is None
    view = SourceView(np.array([[0.0, 2.0], [1.0, 0.0]]), np.array([10.0, 20.0]))
    view.save(tmp_path)
    found = source_view(tmp_path)
    assert found is not None
    np.testing.assert_array_equal(found.of(np.array([[1.0, 3.0]])), [[13.0, 22.0]])
