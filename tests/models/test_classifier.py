from __future__ import annotations

import numpy as np
import pytest
import torch
from sklearn.preprocessing import StandardScaler

from medical_transfer.models import classifier as classifier_module
from medical_transfer.models.classifier import Normalise, Standardise, build_classifier
from medical_transfer.models.preprocessing import Preprocessing


@pytest.mark.parametrize("channels", ["RGB", "BGR"])
def test_normalisation_against_numpy(images, channels):
    mean, std = (0.1, 0.2, 0.3), (0.5, 0.6, 0.7)
    ours = Normalise(Preprocessing(mean=mean, std=std, channels=channels))(images).numpy()
    pixels = images.numpy() if channels == "RGB" else images.numpy()[:, ::-1]
    for channel in range(3):
        np.testing.assert_allclose(ours[:, channel], (pixels[:, channel] - mean[channel]) / std[channel], rtol=1e-5)


def test_logits_are_head_of_trunk_of_normalised_images(trunk_of, images):
    trunk = trunk_of()
    preprocessing = Preprocessing(mean=(0.5, 0.5, 0.5), std=(0.25, 0.25, 0.25), channels="BGR")
    model = build_classifier(trunk, preprocessing, head="linear", dropout=0.5, classes=4, seed=0).eval()
    with torch.no_grad():
        features = trunk((images.flip(1) - 0.5) / 0.25)
        torch.testing.assert_close(model.features(images), features)
        linear = model.head[1]
        torch.testing.assert_close(model(images), features @ linear.weight.T + linear.bias)
        for cut in range(len(trunk.stage_names) + 1):
            activation = trunk.run(model.normalise(images), 0, cut)
            assert torch.equal(model.forward_from(activation, cut), model(images))


def test_preprocessing_travels_in_the_state(classifier_of):
    state = classifier_of().state_dict()
    assert state["normalise.mean"].flatten().tolist() == pytest.approx([0.485, 0.456, 0.406])
    assert state["normalise.std"].flatten().tolist() == pytest.approx([0.229, 0.224, 0.225])


def test_standardise_is_the_identity_until_it_is_fitted():
    features = torch.randn(5, 4)
    assert torch.equal(Standardise(4)(features), features)


def test_standardise_against_scikit_learn():
    rng = np.random.default_rng(0)
    train, other = rng.normal([1, -50, 300], [2, 0.01, 40], (200, 3)), rng.normal(size=(9, 3))
    layer = Standardise(3)
    layer.fit(torch.from_numpy(train).float())
    scaler = StandardScaler().fit(train)
    scaler.scale_[1] = scaler.scale_[0]  # the feature that varies less than the median one
    np.testing.assert_allclose(layer.mean.numpy(), scaler.mean_, rtol=1e-6)
    np.testing.assert_allclose(layer.std.numpy(), scaler.scale_, rtol=1e-5)
    ours = layer(torch.from_numpy(other).float()).numpy()
    np.testing.assert_allclose(ours, scaler.transform(other), rtol=1e-5)


def test_features_of_many_blocks_have_the_moments_of_all(monkeypatch):
    monkeypatch.setattr(classifier_module, "BLOCK", 7)
    features_ND = np.random.default_rng(0).normal(100, 1, (50, 3)).astype(np.float32)
    layer = Standardise(3)
    layer.fit(torch.from_numpy(features_ND))
    std_D = features_ND.astype(np.float64).std(axis=0)
    np.testing.assert_allclose(layer.std.numpy(), np.maximum(std_D, np.median(std_D)), rtol=1e-6)


def test_where_all_features_are_constant_they_keep_their_size():
    layer = Standardise(2)
    layer.fit(torch.tensor([[3.0, 1.0], [3.0, 1.0]]))
    assert layer(torch.tensor([[5.0, 1.5]])).tolist() == [[2.0, 0.5]]


def test_nothing_of_standardise_learns_and_all_of_it_is_saved():
    layer = Standardise(3)
    layer.fit(torch.randn(10, 3))
    assert list(layer.parameters()) == []
    other = Standardise(3)
    other.load_state_dict(layer.state_dict())
    features = torch.randn(2, 3)
    assert torch.equal(other(features), layer(features))


def test_logits_are_of_standardised_features(classifier_of, images):
    model = classifier_of().eval()
    with torch.no_grad():
        features = model.features(images)
        model.standardise.fit(features)
        std = features.std(dim=0, correction=0).numpy()
        scaled = (features - features.mean(dim=0)) / torch.from_numpy(np.maximum(std, np.median(std)))
        linear = model.head[1]
        torch.testing.assert_close(model(images), scaled @ linear.weight.T + linear.bias, atol=1e-4, rtol=1e-4)
        assert torch.equal(model.forward_from(features, len(model.trunk.stage_names)), model(images))
