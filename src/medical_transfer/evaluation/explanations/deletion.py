"""Do the marked pixels matter to the model? The probability of its class as they are taken away, or put back.

Source: Petsiuk et al. (2018), section 4.1. Deletion starts from the image and gives the pixels with the largest values
the image's mean colour: a good map makes the probability fall early, its area under the curve is small. Insertion
starts from the blurred image and gives these pixels back: a good map's area is large.

Departures: random orders have the map's own values in shuffled cells, so that they are as coarse as the map is; single
random pixels would be another kind of damage. A second rival is the map of another image: a map that beats random
orders by marking what all images have in common loses its lead there.
Shapes: image (3, S, S) in [0, 1], map (g, g), K + 1 points of a curve.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn.functional import interpolate
from torchvision.transforms.v2.functional import gaussian_blur

Maps = NDArray[np.float64]
KINDS = ("deletion", "insertion")


def enlarged(map_gg: Maps, size: int) -> Maps:
    """A map of g x g cells as one of `size` x `size` pixels, bilinear."""
    cells = torch.from_numpy(np.ascontiguousarray(map_gg, dtype=np.float64))[None, None]
    pixels_SS: Maps = interpolate(cells, size=(size, size), mode="bilinear", align_corners=False)[0, 0].numpy()
    return pixels_SS


def places(map_gg: Maps, size: int, rng: np.random.Generator) -> NDArray[np.int64]:
    """Place (S, S) of each pixel in the order of the map, 0 first; equal values are in an order by chance, in cells."""
    among_equals = enlarged(rng.random(map_gg.shape), size)
    order = np.lexsort((among_equals.ravel(), -enlarged(map_gg, size).ravel()))
    place = np.empty(order.size, dtype=np.int64)
    place[order] = np.arange(order.size)
    return place.reshape(size, size)


def shuffled(map_gg: Maps, rng: np.random.Generator) -> Maps:
    """The same cells in random order."""
    return rng.permutation(map_gg.ravel()).reshape(map_gg.shape)


def ends(image: Tensor, kind: str) -> tuple[Tensor, Tensor]:
    """The image that a curve starts from, and the one that it ends at."""
    if kind == "deletion":
        return image, image.mean(dim=(1, 2), keepdim=True).expand_as(image)
    sigma = max(image.shape[-1] / 20, 0.5)
    return gaussian_blur(image, kernel_size=[2 * round(3 * sigma) + 1] * 2, sigma=[sigma] * 2), image


def curve(
    probability: Callable[[Tensor], Tensor], start: Tensor, end: Tensor, place_SS: NDArray[np.int64], steps: int
) -> NDArray[np.float64]:
    """Probability (K + 1,) after 0, 1/K, ..., all of the pixels have come from `end`, in the order of their places.

    Args:
        probability: of one class, from images (n, 3, S, S) to (n,).
        start: (3, S, S).
        end: likewise.
        place_SS: from `places`.
        steps: K.
    """
    place = torch.from_numpy(place_SS)
    counts = torch.linspace(0, place.numel(), steps + 1, dtype=torch.float64).round()
    taken = place < counts[:, None, None]
    mixed = torch.where(taken[:, None], end[None], start[None])
    values_K: NDArray[np.float64] = probability(mixed).double().cpu().numpy()
    return values_K


def area(values_K: NDArray[np.float64]) -> float:
    """Area under a curve over shares of pixels from 0 to 1, by trapezoids."""
    return float(np.trapezoid(values_K, dx=1 / (len(values_K) - 1)))
