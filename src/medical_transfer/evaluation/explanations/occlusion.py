"""Occlusion: by how much the score of a class falls where a patch of the image is hidden.

Source: Zeiler and Fergus (2014), section 4.2. captum pushes the patch and averages over all patches that hid a pixel.
Departures: the patch has the image's mean colour, where the paper's is grey, and the score is the caller's.
It needs no gradient, so it works for any model. Shapes: images (N, 3, S, S), maps (N, g, g), g = ceil(S / stride).
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import torch
from captum.attr import Occlusion
from numpy.typing import NDArray
from torch import Tensor
from torch.nn.functional import avg_pool2d

from medical_transfer.runtime.progress import progress

AT_ONCE = 32
"""Places of the patch that go through the network together."""


@torch.no_grad()
def occlusion(
    score: Callable[[Tensor], Tensor], images: Tensor, targets_N: Tensor, *, patch: int, stride: int
) -> NDArray[np.float64]:
    """Maps (N, g, g) of the scores of `targets_N`; below 0 where hiding raises the score.

    Args:
        score: from images to scores (N, C).
        images: (N, 3, S, S).
        targets_N: the class of each image.
        patch: side in pixels.
        stride: pixels from one place of the patch to the next; a cell of the map is as large.
    """
    hide = Occlusion(score)
    maps = []
    for image, target in zip(progress(images, "Hiding patches", unit="image"), targets_N.tolist(), strict=True):
        found = hide.attribute(
            image[None],
            sliding_window_shapes=(3, patch, patch),
            strides=(3, stride, stride),
            baselines=image.mean(dim=(1, 2), keepdim=True).expand_as(image)[None],
            target=target,
            perturbations_per_eval=AT_ONCE,
        )
        cells = avg_pool2d(found[:, :1].double(), stride, stride, ceil_mode=True, count_include_pad=False)
        maps.append(cells[0, 0].cpu().numpy())
    return np.stack(maps)
