"""What a pretrained network expects of its images: part of the source, never of the data set."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Triple = tuple[float, float, float]

IMAGENET_MEAN: Triple = (0.485, 0.456, 0.406)
IMAGENET_STD: Triple = (0.229, 0.224, 0.225)


@dataclass(frozen=True, slots=True)
class Preprocessing:
    """Pixels in [0, 1], channels in the order of `channels`, minus `mean`, divided by `std` (both in that order).

    `size` is the side in pixels and `interpolation` the way of resizing in the source's own training; a trunk with
    global pooling also takes other sizes.
    """

    mean: Triple = IMAGENET_MEAN
    std: Triple = IMAGENET_STD
    channels: Literal["RGB", "BGR"] = "RGB"
    size: int = 224
    interpolation: Literal["bilinear", "bicubic"] = "bilinear"
