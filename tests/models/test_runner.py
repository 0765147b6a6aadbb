from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import nn

from medical_transfer.models import runner
from medical_transfer.models.runner import as_images, fast_runner, in_chunks


class Two(nn.Module):
    """Two outputs that are easily computed by hand: the mean of each channel, and the brightest pixel."""

    def __init__(self):
        super().__init__()
        self.weight = nn.Parameter(torch.tensor([1.0, 2.0, 3.0]))

    def forward(self, images):
        return images.mean(dim=(2, 3)) * self.weight, images.amax(dim=(1, 2, 3))


@pytest.fixture
def pixels():
    return np.random.default_rng(0).integers(0, 256, (7, 8, 8, 3), dtype=np.uint8)


def test_pixels_become_images(pixels):
    images = as_images(pixels)
    assert images.is_contiguous()
    assert images.dtype == torch.float32
    np.testing.assert_allclose(images.numpy(), pixels.transpose(0, 3, 1, 2) / 255, rtol=1e-6)


def test_chunks_cover_the_slots_in_order(pixels, monkeypatch):
    monkeypatch.setattr(runner, "CHUNK", 3)
    slots_n = np.array([6, 6, 0, 2, 5, 1, 4])
    chunks = list(in_chunks(pixels, slots_n, "Reading"))
    assert [len(chunk) for chunk in chunks] == [3, 3, 1]
    assert torch.equal(torch.cat(chunks), as_images(pixels[slots_n]))


ENGINES = {
    "onnx": lambda module, outputs: runner._in_onnx(module, outputs, 8),
    "torch": lambda module, outputs: runner._in_torch(module, torch.device("cpu")),
}


@pytest.mark.parametrize("engine", ENGINES)
def test_outputs_by_hand_in_both_engines(pixels, engine):
    run = ENGINES[engine](Two().train(), ("means", "brightest"))
    for count in (7, 1):
        means, brightest = run(as_images(pixels[:count]))
        expected = pixels[:count].mean(axis=(1, 2)) / 255 * [1, 2, 3]
        np.testing.assert_allclose(means, expected, rtol=1e-5)
        np.testing.assert_allclose(brightest, pixels[:count].max(axis=(1, 2, 3)) / 255, rtol=1e-6)
        assert means.dtype == brightest.dtype == np.float32


@pytest.mark.parametrize("engine", ENGINES)
def test_dropout_is_off_in_both_engines(pixels, engine):
    network = nn.Sequential(nn.Flatten(), nn.Dropout(0.9), nn.Linear(3 * 64, 2)).train()
    with torch.no_grad():
        flat = as_images(pixels).flatten(1)
        expected = (flat @ network[2].weight.T + network[2].bias).numpy()
    (found,) = ENGINES[engine](network, ("x",))(as_images(pixels))
    np.testing.assert_allclose(found, expected, atol=1e-5)


@pytest.mark.parametrize(("kind", "engine"), [("cpu", "_in_onnx"), ("cuda", "_in_torch")])
def test_a_processor_takes_onnx_runtime_and_an_accelerator_torch(monkeypatch, kind, engine):
    monkeypatch.setattr(runner, "device", lambda: torch.device(kind))
    for name in ("_in_onnx", "_in_torch"):
        monkeypatch.setattr(runner, name, lambda *arguments, name=name: name)
    assert fast_runner(Two(), outputs=("x",), size=8) == engine
    few, many = 100, -(-runner.EXPORT_PAYS // 64)
    assert fast_runner(Two(), outputs=("x",), size=8, images=few) == "_in_torch"
    assert fast_runner(Two(), outputs=("x",), size=8, images=many) == engine


def test_what_a_few_images_are_shown_to_does_not_learn_on(pixels):
    network = Two().train()
    run = fast_runner(network, outputs=("means", "brightest"), size=8, images=7)
    before = run(as_images(pixels))[0]
    with torch.no_grad():
        network.weight.mul_(2)
    np.testing.assert_array_equal(run(as_images(pixels))[0], before)
    assert network.training
