"""The fastest way on this machine to push images through a network that doesn't learn.

ONNX Runtime on every core of a CPU (`every_core.py`), torch elsewhere and for what cannot be exported: a trunk that is
a graph already runs as it is, and of a trunk of several each member runs as it would alone. A few images are through
torch before a network is exported. Results agree with torch to about 1e-4 of their size.
"""

from __future__ import annotations

import copy
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from medical_transfer.models.every_core import EveryCore
from medical_transfer.models.fused_trunk import Member
from medical_transfer.models.onnx_source import export_trunk, exportable
from medical_transfer.runtime.devices import device, move
from medical_transfer.runtime.progress import progress

CHUNK = 64
"""Images that go through a network at once; memory does not grow with N."""

EXPORT_PAYS = 750_000
"""Pixels, S x S for each image, from which on a graph is worth its second of export: 15 images of 224."""

Runner = Callable[[Tensor], tuple[NDArray[np.float32], ...]]


def fast_runner(module: nn.Module, *, outputs: tuple[str, ...], size: int, images: int | None = None) -> Runner:
    """A function from images (N, 3, S, S) in [0, 1] to the module's outputs as arrays.

    Args:
        module: takes images and returns a tensor, or a tuple of as many tensors as there are `outputs`.
        outputs: names of the outputs.
        size: S in pixels.
        images: how many will be shown to it, where the result belongs to all of these: few are not worth a graph. Not
            for predictions, which must not hang on how many images are asked about beside one. What comes out is the
            module as it is now, however it learns on.
    """
    where = device()
    if where.type != "cpu":
        return _in_torch(module, where)
    few = images is not None and images * size**2 < EXPORT_PAYS
    if not exportable(module):
        return _in_torch(module if few else _sped_up(module, size), where)
    return _in_torch(copy.deepcopy(module), where) if few else _in_onnx(module, outputs, size)


def in_chunks(pixels_NSS3: NDArray[np.uint8], slots_n: NDArray[np.int64], description: str) -> Iterator[Tensor]:
    """Images of `slots_n` as floats (<= CHUNK, 3, S, S) in [0, 1], in order, under a progress bar."""
    for start in progress(range(0, len(slots_n), CHUNK), description, unit=f"{CHUNK} images"):
        yield as_images(pixels_NSS3[slots_n[start : start + CHUNK]])


def as_images(pixels_nSS3: NDArray[np.uint8]) -> Tensor:
    """Pixels (N, S, S, 3) uint8 as images (N, 3, S, S) in [0, 1]."""
    return torch.from_numpy(pixels_nSS3).permute(0, 3, 1, 2).contiguous().float().div_(255)


def _in_onnx(module: nn.Module, outputs: tuple[str, ...], size: int) -> Runner:
    with tempfile.TemporaryDirectory() as scratch:
        path = export_trunk(module, size=size, path=Path(scratch) / "network.onnx", outputs=outputs)
        graph = EveryCore(path.read_bytes(), origin=path.name)
    return lambda images: graph.run(images.numpy(), outputs)


class _Session(nn.Module):
    """A part that takes images and gives features, run by ONNX Runtime in its place."""

    def __init__(self, part: nn.Module, size: int) -> None:
        super().__init__()
        self.run = _in_onnx(part, ("features",), size)

    def forward(self, images: Tensor) -> Tensor:
        """Features (N, D) of images (N, 3, S, S)."""
        return torch.from_numpy(self.run(images)[0])


def _sped_up(module: nn.Module, size: int) -> nn.Module:
    """The module, or where a trunk of several is in it, a copy whose members of torch run in ONNX Runtime."""
    members = [part for part in module.modules() if isinstance(part, Member)]
    if not members:
        return module
    # what stands in the memo is not copied: graphs keep the sessions that are open
    memo = {id(member): _Session(member, size) if exportable(member) else member for member in members}
    return copy.deepcopy(module, memo)


def _in_torch(module: nn.Module, where: torch.device) -> Runner:
    module = module.eval().to(where)

    @torch.inference_mode()
    def run(images: Tensor) -> tuple[NDArray[np.float32], ...]:
        results = module(move(images, where))
        return tuple(r.float().cpu().numpy() for r in (results if isinstance(results, tuple) else (results,)))

    return run
