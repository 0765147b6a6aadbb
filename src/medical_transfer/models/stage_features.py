"""What each stage of a frozen network makes of images: one vector per image after every stage, all in one pass.

A stage that gives a map is averaged over its positions, (N, C, H, W) and (N, H, W, C) to (N, C), so what remains does
not grow with the image; tokens (N, T, C) are averaged over T. A stage that gives vectors is taken as it is: the last
one, whose vector is the source's features, and hidden layers of networks such as AlexNet. On a CPU the averages are
part of the graph that ONNX Runtime runs (`medical_transfer.models.runner`).
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from medical_transfer.config.backbones import Backbones
from medical_transfer.models.backbones import build_trunk
from medical_transfer.models.classifier import Normalise
from medical_transfer.models.runner import fast_runner, in_chunks
from medical_transfer.models.source import Source
from medical_transfer.models.trunk import AnyTrunk
from medical_transfer.runtime.files import write_json


class PooledStages(nn.Module):
    """Normalisation and trunk: images (N, 3, S, S) in [0, 1] to one matrix (N, C_k) for each stage k.

    Args:
        normalise: what the source expects of pixels.
        trunk: one that can be cut.
        size: S, at which the trunk is looked at once to learn where its maps have their channels.
    """

    def __init__(self, normalise: Normalise, trunk: AnyTrunk, *, size: int) -> None:
        super().__init__()
        self.normalise, self.trunk = normalise, trunk
        self.channels_last = _has_channels_last(trunk, size)

    def forward(self, images: Tensor) -> tuple[Tensor, ...]:
        """Averages over positions after every stage."""
        activation, outputs = self.normalise(images), []
        for stage in range(len(self.trunk.stage_names)):
            activation = self.trunk.run(activation, stage, stage + 1)
            outputs.append(self._pooled(activation))
        return tuple(outputs)

    def _pooled(self, activation: Tensor) -> Tensor:
        if activation.ndim == 4:
            return activation.mean((1, 2) if self.channels_last else (2, 3))
        return activation.mean(1) if activation.ndim == 3 else activation


def stage_file(folder: Path, index: int) -> Path:
    """File of the features after stage `index`, counted from 0 at the image."""
    return folder / f"stage{index}.npy"


def write_stage_features(
    source: Source,
    *,
    pixels_NSS3: NDArray[np.uint8],
    slots_n: NDArray[np.int64],
    backbones: Backbones,
    packages_folder: Path,
    folder: Path,
) -> None:
    """Write `stage<k>.npy` (n, C_k) float32 for every stage, and `stages.json`: name, C_k and parameters of each.

    Args:
        source: one of `medical_transfer.models.layered_source`.
        pixels_NSS3: the image cache.
        slots_n: rows of the cache, in the order of the rows that are written.
        backbones: where weights are.
        packages_folder: where wheels are.
        folder: where the files are written.
    """
    trunk = build_trunk(source, backbones=backbones, packages_folder=packages_folder)
    size, names = pixels_NSS3.shape[1], trunk.stage_names
    module = PooledStages(Normalise(source.preprocessing), trunk, size=size).eval()
    outputs = tuple(f"stage{index}" for index in range(len(names)))
    run = fast_runner(module, outputs=outputs, size=size, images=len(slots_n))
    chunks = [run(images) for images in in_chunks(pixels_NSS3, slots_n, f"Stages of {source.name}")]
    facts = []
    for index, features in enumerate(map(np.concatenate, zip(*chunks, strict=True))):
        np.save(stage_file(folder, index), features)
        facts.append({"name": names[index], "features": features.shape[1], "parameters": trunk.stage_size(index)})
    write_json(folder / "stages.json", facts)


@torch.no_grad()
def _has_channels_last(trunk: AnyTrunk, size: int) -> bool:
    """Whether the trunk's maps are (N, H, W, C), as Swin's are: a square picture whose sides stand first.

    A map of three equal lengths says nothing, but the network's other stages do.
    """
    activation, shapes = torch.zeros(1, 3, size, size), []
    for stage in range(len(trunk.stage_names)):
        activation = trunk.run(activation, stage, stage + 1)
        shapes.append(activation.shape[1:])
    return any(len(shape) == 3 and shape[0] == shape[1] != shape[2] for shape in shapes)
