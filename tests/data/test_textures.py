"""Random grounds: smooth, coloured, all different, the same for one seed."""

from __future__ import annotations

import pytest
import torch
from torch.nn import functional

from medical_transfer.data import augment
from medical_transfer.data.augment import gentle, textured
from medical_transfer.data.textures import textures


def generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def test_textures_are_smooth_coloured_and_never_twice_the_same():
    drawn = textures(64, 32, generator())
    assert drawn.shape == (64, 3, 32, 32)
    assert drawn.min() >= 0
    assert drawn.max() <= 1
    assert torch.equal(drawn, textures(64, 32, generator()))
    neighbours = (drawn[..., 1:] - drawn[..., :-1]).abs().mean()
    far = (drawn[..., 16:] - drawn[..., :16]).abs().mean()
    assert neighbours < far / 3, "smooth: neighbours are more alike than pixels half a picture away"
    assert (drawn[:, 0] - drawn[:, 1]).abs().mean() > 0.05, "coloured"
    means = drawn.mean(dim=(2, 3))
    assert means.std(dim=0).min() > 0.1, "each has grounds of its own"


@pytest.fixture
def drawn(monkeypatch):
    """Let the policies draw these numbers, one after the other, for all images."""

    def install(*numbers: float):
        remaining = iter(numbers)
        monkeypatch.setattr(
            augment._Draw, "uniform", lambda self, low, high: torch.full((self.n,), float(next(remaining)))
        )

    return install


AT_REST = (1.0, 0.0, 0.0, 0.0, 1.0, 1.0)
"""What `gentle` draws where it changes nothing: zoom, angle, shifts, brightness, contrast."""
PLAIN, TURNED = 0.9, 0.1
AS_IT_IS = (1.0, 1.0, 1.0, 0.0, 0.0, 0.0)
"""Stretch and shift of the three channels that change nothing."""


def shapes() -> torch.Tensor:
    images = torch.zeros(2, 3, 16, 16)
    images[:, :, 4:12, 6:10] = 1
    return images


def test_at_rest_nothing_changes(drawn):
    drawn(*AT_REST, 0.0, PLAIN, *AS_IT_IS)
    torch.testing.assert_close(textured(shapes(), generator()), shapes(), atol=1e-6, rtol=0)


def test_the_texture_comes_in_by_absolute_difference(drawn):
    """Behind a shape of 1 stands 1 minus the texture, elsewhere the texture itself."""
    drawn(*AT_REST, 0.5, PLAIN, *AS_IT_IS)
    ground = 0.5 * textures(2, 16, generator(4))
    expected = torch.where(shapes() == 1, 1 - ground, ground)
    torch.testing.assert_close(textured(shapes(), generator(4)), expected, atol=1e-6, rtol=0)


def test_inversion_then_colour(drawn):
    """By hand: 1 becomes 0, then red (0 - .5) 1.2 + .5 + .1 = 0, green at .8 and -.1 is 0, blue at 1 and .05 is .05."""
    drawn(*AT_REST, 0.0, TURNED, 1.2, 0.8, 1.0, 0.1, -0.1, 0.05)
    found = textured(shapes(), generator())
    torch.testing.assert_close(found[0, :, 8, 8], torch.tensor([0.0, 0.0, 0.05]), atol=1e-6, rtol=0)
    torch.testing.assert_close(found[0, :, 0, 0], torch.tensor([1.0, 0.8, 1.0]), atol=1e-6, rtol=0)


def test_half_are_inverted_and_shapes_can_still_be_seen():
    images = shapes()[:1].expand(400, -1, -1, -1)
    found = textured(images, generator(1))
    grey = found.mean(dim=1)
    edge = (
        functional.avg_pool2d(grey[:, None], 2) - functional.avg_pool2d(gentle(images, generator(1))[:, :1], 2)
    ).abs()
    assert edge.mean() > 0.1, "it is another picture"
    inside, outside = grey[:, 6:10, 7:9].mean(dim=(1, 2)), grey[:, :2].mean(dim=(1, 2))
    brighter = float((inside > outside).float().mean())
    assert 0.35 < brighter < 0.65
    assert float((inside - outside).abs().mean()) > 0.3
