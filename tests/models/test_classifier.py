from __future__ import annotations

import numpy as np
import pytest
import torch

from medical_transfer.models.classifier import Normalise, build_classifier
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
            assert torch.equal(model.forward_from(model.forward_until(images, cut), cut), model(images))


def test_preprocessing_travels_in_the_state(classifier_of):
    state = classifier_of().state_dict()
    assert state["normalise.mean"].flatten().tolist() == pytest.approx([0.485, 0.456, 0.406])
    assert state["normalise.std"].flatten().tolist() == pytest.approx([0.229, 0.224, 0.225])
