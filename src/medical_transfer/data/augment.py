"""What the network may see of a training image: augmentation policies on whole batches.

A policy moves all images of a batch by one affine sampling each (crop, flip, rotation and shift are composed, so pixels
are interpolated once) and then changes brightness and contrast. Images are float in [0, 1], shape (N, 3, S, S);
randomness is a generator that the caller passes in.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from types import MappingProxyType

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional

from medical_transfer.config.augmentation import Symmetry
from medical_transfer.data.textures import textures
from medical_transfer.runtime.devices import move

Policy = Callable[[Tensor, torch.Generator], Tensor]

LUMINANCE = (0.2989, 0.587, 0.114)
"""Weights of red, green and blue in grey (ITU-R BT.601, as torchvision rounds them)."""


def none(images_N3SS: Tensor, generator: torch.Generator) -> Tensor:  # noqa: ARG001 - a policy like any other
    """Leave the images as they are."""
    return images_N3SS


def gentle(images_N3SS: Tensor, generator: torch.Generator) -> Tensor:
    """Small moves that keep anatomy true.

    Rotation up to 10 degrees, zoom of a tenth, shift of a twentieth of the side, brightness and contrast 15 %; no flip.

    For modalities in which a mirror image lies (situs, laterality) and colour has no meaning.
    """
    draw = _Draw(len(images_N3SS), generator)
    zoom_N = draw.uniform(0.9, 1.1)
    moved = _affine(
        images_N3SS,
        scale_x=zoom_N,
        scale_y=zoom_N,
        angle=draw.uniform(-math.pi / 18, math.pi / 18),
        shift_x=draw.uniform(-0.1, 0.1),
        shift_y=draw.uniform(-0.1, 0.1),
    )
    return _jitter(moved, brightness=draw.uniform(0.85, 1.15), contrast=draw.uniform(0.85, 1.15))


def flips(images_N3SS: Tensor, generator: torch.Generator) -> Tensor:
    """Half of the images flipped left-right, half up-down: where an image has no handedness. No pixel is resampled."""
    draw = _Draw(len(images_N3SS), generator)
    left_right_N, up_down_N = (move(draw.uniform(0, 1) < 0.5, images_N3SS.device) for _ in range(2))
    one_way = torch.where(left_right_N[:, None, None, None], images_N3SS.flip(3), images_N3SS)
    return torch.where(up_down_N[:, None, None, None], one_way.flip(2), one_way)


def mirrored(images_N3SS: Tensor, generator: torch.Generator) -> Tensor:
    """`gentle`, then `flips`."""
    return flips(gentle(images_N3SS, generator), generator)


def chapter(images_N3SS: Tensor, generator: torch.Generator) -> Tensor:
    """The chapter's policy (section 5.1): RandomResizedCrop, horizontal flip, rotation 15 degrees, ColorJitter .2/.2.

    Departures from torchvision's chain: one interpolation instead of two, so the corners of a rotated crop show the
    image's own surroundings where there are some; a crop that would be wider or higher than the image is cut to it
    (torchvision draws again, up to ten times); and brightness always comes before contrast.
    """
    draw = _Draw(len(images_N3SS), generator)
    area_N = draw.uniform(0.08, 1.0)
    ratio_N = torch.exp(draw.uniform(math.log(3 / 4), math.log(4 / 3)))
    width_N = (area_N * ratio_N).sqrt().clamp(max=1)
    height_N = (area_N / ratio_N).sqrt().clamp(max=1)
    flip_N = torch.where(draw.uniform(0, 1) < 0.5, -1.0, 1.0)
    moved = _affine(
        images_N3SS,
        scale_x=width_N * flip_N,
        scale_y=height_N,
        angle=draw.uniform(-math.pi / 12, math.pi / 12),
        shift_x=draw.uniform(-1, 1) * (1 - width_N),
        shift_y=draw.uniform(-1, 1) * (1 - height_N),
    )
    return _jitter(moved, brightness=draw.uniform(0.8, 1.2), contrast=draw.uniform(0.8, 1.2))


def textured(images_N3SS: Tensor, generator: torch.Generator) -> Tensor:
    """Shapes on any ground: `gentle` moves, a random texture behind, half of the images inverted, colours shifted.

    The texture comes in by the absolute difference, as the photographs of MNIST-M do (Ganin et al. 2016, section
    5.2.4), at a strength between 0 and 1; then each channel is stretched around the middle by 40 % and shifted by 20 %.

    For digits, and other shapes whose meaning hangs on neither colour nor ground. It says nothing true of tissue.
    """
    draw, side = _Draw(len(images_N3SS), generator), images_N3SS.shape[2]
    moved = gentle(images_N3SS, generator)
    strength_N = draw.uniform(0, 1)
    ground = _beside(strength_N[:, None, None, None] * textures(len(images_N3SS), side, generator), images_N3SS)
    blended = (ground - moved).abs()
    inverted_N = move(draw.uniform(0, 1) < 0.5, images_N3SS.device)
    turned = torch.where(inverted_N[:, None, None, None], 1 - blended, blended)
    stretch, shift = (
        _beside(torch.stack([draw.uniform(low, high) for _ in range(3)], dim=1), images_N3SS)[:, :, None, None]
        for low, high in ((0.6, 1.4), (-0.2, 0.2))
    )
    return (0.5 + (turned - 0.5) * stretch + shift).clamp(0, 1)


POLICIES: Mapping[str, Policy] = MappingProxyType(
    {
        "none": none,
        "gentle": gentle,
        "flips": flips,
        "mirrored": mirrored,
        "chapter": chapter,
        "textured": textured,
    }
)

FLIPPED_AXES: Mapping[Symmetry, tuple[int, ...]] = MappingProxyType(
    {"left_right": (3,), "up_down": (2,), "half_turn": (2, 3)}
)
"""Axes of (N, 3, S, S) along which a mirror image is read backwards."""


class _Draw:
    """Random numbers for one batch, drawn on the CPU so that every device sees the same ones."""

    def __init__(self, n: int, generator: torch.Generator) -> None:
        self.n, self.generator = n, generator

    def uniform(self, low: float, high: float) -> Tensor:
        return low + (high - low) * torch.rand(self.n, generator=self.generator)


def _beside(drawn: Tensor, images_N3SS: Tensor) -> Tensor:
    """The same numbers on the device of the images and of their kind."""
    return move(drawn.to(images_N3SS.dtype), images_N3SS.device)


def _affine(
    images_N3SS: Tensor, *, scale_x: Tensor, scale_y: Tensor, angle: Tensor, shift_x: Tensor, shift_y: Tensor
) -> Tensor:
    """Sample input position scale * rotation(angle) * p + shift for every output position p in [-1, 1]^2."""
    cos_N, sin_N = angle.cos(), angle.sin()
    row_x = torch.stack([scale_x * cos_N, -scale_x * sin_N, shift_x], dim=1)
    row_y = torch.stack([scale_y * sin_N, scale_y * cos_N, shift_y], dim=1)
    theta_N23 = _beside(torch.stack([row_x, row_y], dim=1), images_N3SS)
    grid = functional.affine_grid(theta_N23, list(images_N3SS.shape), align_corners=False)
    return functional.grid_sample(images_N3SS, grid, padding_mode="zeros", align_corners=False)


def _jitter(images_N3SS: Tensor, *, brightness: Tensor, contrast: Tensor) -> Tensor:
    """Multiply by brightness, then stretch around each image's mean luminance by contrast, as torchvision does."""
    bright = (images_N3SS * _beside(brightness, images_N3SS)[:, None, None, None]).clamp(0, 1)
    luminance = _beside(torch.tensor(LUMINANCE), bright).view(1, 3, 1, 1)
    mean = (bright * luminance).sum(dim=1, keepdim=True).mean(dim=(2, 3), keepdim=True)
    return (mean + (bright - mean) * _beside(contrast, images_N3SS)[:, None, None, None]).clamp(0, 1)


def example_views(
    originals: list[NDArray[np.uint8]], policy: str, views: int, *, seed: int
) -> list[list[NDArray[np.uint8]]]:
    """So many augmented views (uint8, S x S x 3) of each of some pictures of one size, for a person to look at."""
    images = torch.from_numpy(np.stack(originals)).permute(0, 3, 1, 2).float() / 255
    generator = torch.Generator().manual_seed(seed)
    drawn = torch.stack([POLICIES[policy](images, generator) for _ in range(views)])
    pictures = (drawn * 255).round().to(torch.uint8).permute(1, 0, 3, 4, 2).numpy()
    return [list(of_one) for of_one in pictures]
