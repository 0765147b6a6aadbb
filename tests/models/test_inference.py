from __future__ import annotations

import numpy as np
import pytest
import torch

from medical_transfer.models.inference import mean_probability, predict_logits


@pytest.mark.parametrize("head", ["linear", "chapter_5_1"])
def test_logits_are_torchs_in_the_order_of_the_slots(classifier_of, head):
    classifier = classifier_of(head=head)
    rng = np.random.default_rng(0)
    classifier.standardise.fit(torch.from_numpy(rng.normal(1, 2, (50, 64))).float())
    pixels = rng.integers(0, 256, (70, 32, 32, 3), dtype=np.uint8)
    slots_n = rng.permutation(70)[:67]  # more than one chunk of 64
    found = predict_logits(classifier.train(), pixels, slots_n)
    images = torch.from_numpy(pixels[slots_n].transpose(0, 3, 1, 2) / np.float32(255))
    with torch.no_grad():
        expected = classifier.eval()(images).numpy()
    assert (found.dtype, found.shape) == (np.float64, (67, 3))
    np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-4)


def test_predictions_are_the_mean_over_the_image_and_its_mirror_images(classifier_of):
    classifier = classifier_of()
    rng = np.random.default_rng(0)
    classifier.standardise.fit(torch.from_numpy(rng.normal(1, 2, (50, 64))).float())
    pixels = rng.integers(0, 256, (6, 32, 32, 3), dtype=np.uint8)
    found = predict_logits(classifier, pixels, np.arange(6), ("left_right", "half_turn"))
    views = [pixels, pixels[:, :, ::-1], pixels[:, ::-1, ::-1]]
    with torch.no_grad():
        images = [torch.from_numpy(view.transpose(0, 3, 1, 2) / np.float32(255)) for view in views]
        means = np.mean([classifier.eval()(each).softmax(dim=1).numpy() for each in images], axis=0)
    np.testing.assert_allclose(np.exp(found), means, rtol=1e-4)
    assert np.abs(np.exp(found) - means[::-1]).max() > 1e-3


def test_the_mean_of_probabilities_holds_for_logits_of_any_size():
    logits_VNC = np.array([[[1000.0, 0.0]], [[0.0, 1000.0]]])
    np.testing.assert_allclose(mean_probability(logits_VNC), np.log([[0.5, 0.5]]))
