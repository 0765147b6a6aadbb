"""What a frozen network makes of images, computed once: features for scores, activations at cuts for training.

Features come with the probabilities of the source's own classes where it has a head (`own_head`).
Views are augmented copies of an image: view 0 is the image as it is. Pictures are kept in half precision with their
error measured (`medical_transfer.models.activation_map`); feature vectors stay float32. On a CPU all of it is computed
by ONNX Runtime, at every cut (`medical_transfer.models.runner`).
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from medical_transfer.config.backbones import Backbones
from medical_transfer.data.augment import POLICIES
from medical_transfer.models.activation_map import ActivationMap, Rounding, worst
from medical_transfer.models.classifier import Classifier
from medical_transfer.models.own_head import SeeingNetwork, divide
from medical_transfer.models.runner import CHUNK, as_images, fast_runner, in_chunks
from medical_transfer.models.seen import Seen, write_seen
from medical_transfer.models.source import Source
from medical_transfer.runtime.files import read_json, write_json
from medical_transfer.runtime.progress import progress
from medical_transfer.runtime.seeds import derive_seed
from medical_transfer.types import UserError


class FrozenPart(nn.Module):
    """Normalisation and trunk, with the activations before each of `cuts` (ascending) as outputs."""

    def __init__(self, classifier: Classifier, cuts: tuple[int, ...]) -> None:
        super().__init__()
        self.normalise, self.trunk, self.cuts = classifier.normalise, classifier.trunk, cuts

    def forward(self, images: Tensor) -> tuple[Tensor, ...]:
        """Activations of images (N, 3, S, S) in [0, 1], one per cut."""
        activation, done, outputs = self.normalise(images), 0, []
        for cut in self.cuts:
            activation = self.trunk.run(activation, done, cut)
            done = cut
            outputs.append(activation)
        return tuple(outputs)


@dataclass(frozen=True)
class Views:
    """Handle to cached activations: `array(cut, view)` has one row per image, in the order in which they were given."""

    folder: Path

    def array(self, cut: int, view: int) -> NDArray[np.floating]:
        """Read-only memory map of the activations before stage `cut` under one view."""
        activations: NDArray[np.floating] = np.load(self.path(cut, view), mmap_mode="r")
        return activations

    def path(self, cut: int, view: int) -> Path:
        """File of one map."""
        return self.folder / f"cut{cut}_view{view}.npy"

    @property
    def errors(self) -> Path:
        """File that says of each map what keeping it has cost."""
        return self.folder / "rounding.json"

    def rounding(self, cut: int) -> Rounding:
        """What keeping the activations before stage `cut` has cost, in the worst of the views."""
        told = read_json(self.errors)
        return worst([Rounding(**told[name]) for name in sorted(told) if name.startswith(f"cut{cut}_")])


def write_features(
    source: Source,
    *,
    pixels_NSS3: NDArray[np.uint8],
    slots_n: NDArray[np.int64],
    backbones: Backbones,
    packages_folder: Path,
    folder: Path,
) -> None:
    """Write what a source makes of the images of `slots_n`, in their order: the files of `models.seen`."""
    seen = see_images(
        source, pixels_NSS3=pixels_NSS3, slots_n=slots_n, backbones=backbones, packages_folder=packages_folder
    )
    write_seen(folder, seen)


def see_images(
    source: Source,
    *,
    pixels_NSS3: NDArray[np.uint8],
    slots_n: NDArray[np.int64],
    backbones: Backbones,
    packages_folder: Path,
) -> Seen:
    """What a source makes of the images of `slots_n`, in their order, by one pass through its network.

    Raises:
        UserError: where the source cannot be built.
    """
    trunk, head, why_none = divide(source, backbones=backbones, packages_folder=packages_folder)
    outputs = ("features",) if head is None else ("features", "probabilities")
    run = fast_runner(
        SeeingNetwork(source.preprocessing, trunk, head).eval(),
        outputs=outputs,
        size=pixels_NSS3.shape[1],
        images=len(slots_n),
    )
    chunks = [run(images) for images in in_chunks(pixels_NSS3, slots_n, f"Features of {source.name}")]
    arrays = [np.concatenate(parts) for parts in zip(*chunks, strict=True)]
    return Seen(arrays[0], arrays[1] if head is not None else None, why_none)


def write_views(
    classifier: Classifier,
    *,
    cuts: tuple[int, ...],
    pixels_NSS3: NDArray[np.uint8],
    slots_n: NDArray[np.int64],
    views: int,
    policy: str,
    seed: int,
    folder: Path,
) -> None:
    """Write the activations of the images in `slots_n` at `cuts` (ascending), as they are and under `views` views.

    Args:
        classifier: its normalisation and trunk are used, in eval mode.
        cuts: indices of stages; the number of stages is the end of the trunk.
        pixels_NSS3: the image cache.
        slots_n: rows of the cache, in the order of the maps' rows.
        views: augmented views beside view 0.
        policy: name of the augmentation policy.
        seed: decides the augmentations, one stream per view and chunk of images. So an image's views depend on its
            place among `slots_n` and on how many images share its chunk, not on what those images or the cuts are.
        folder: where the maps are written, and what keeping them has cost; see `Views`.

    Raises:
        UserError: where the network makes NaN or infinite activations.
    """
    frozen, names = FrozenPart(classifier, cuts), tuple(f"cut{c}" for c in cuts)
    run = fast_runner(frozen, outputs=names, size=pixels_NSS3.shape[1], images=(views + 1) * len(slots_n))
    store, maps = Views(folder), dict[tuple[int, int], ActivationMap]()
    jobs = [(view, start) for view in range(views + 1) for start in range(0, len(slots_n), CHUNK)]
    for view, start in progress(jobs, "Frozen part of the network", unit=f"{CHUNK} images"):
        plain = as_images(pixels_NSS3[slots_n[start : start + CHUNK]])
        images = view_of(plain, policy, seed, view, start) if view else plain
        for cut, activation in zip(cuts, run(images), strict=True):
            if (cut, view) not in maps:
                maps[cut, view] = ActivationMap(store.path(cut, view), len(slots_n), activation.shape[1:])
            with _explain_no_number(classifier.trunk.architecture, cut):
                maps[cut, view].write(start, activation)
    write_json(store.errors, {store.path(*place).stem: kept.rounding.facts() for place, kept in maps.items()})


def view_of(images: Tensor, policy: str, seed: int, view: int, start: int) -> Tensor:
    """Augmented view number `view` of the chunk of images that begins at row `start`."""
    generator = torch.Generator().manual_seed(derive_seed(seed, f"{view}/{start}"))
    return POLICIES[policy](images, generator).contiguous()


@contextmanager
def _explain_no_number(architecture: str, cut: int) -> Iterator[None]:
    """Turn an activation that is no number into a sentence.

    Raises:
        UserError: where one is NaN or infinite.
    """
    try:
        yield
    except FloatingPointError as error:
        raise UserError(
            f"{architecture} makes NaN or infinite activations before its stage {cut} while nothing of it has learned: "
            "its weights are damaged, or its mean and std (backbones.own) are not those it was trained with."
        ) from error
