from __future__ import annotations

import numpy as np
import pytest
import torch

from medical_transfer.models.inference import predict_logits


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
