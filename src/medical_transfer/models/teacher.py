"""A teacher: trained classifiers that no longer learn, and what they make of a picture.

Of several, the mean of their logits teaches: at any temperature that is the normalised geometric mean of their softened
probabilities, one of the two means of Hinton et al. 2015 (section 4). Unlike the arithmetic mean it commutes with the
temperature, so that one vector per view is cached for all temperatures. A member with larger logits counts more.
Shapes: images (N, 3, S, S) in [0, 1], logits (N, C), features (N, D) of all members side by side, maps (N, K, H, W).
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import torch
from torch import Tensor

from medical_transfer.models.architectures import native_size
from medical_transfer.models.checkpoint import load_checkpoint
from medical_transfer.models.classifier import Classifier
from medical_transfer.types import UserError


class Teacher:
    """Trained classifiers in eval mode, without gradients.

    It is no torch module: nothing of it is trained, moved along or saved with a student.
    """

    def __init__(self, members: Sequence[Classifier], identity: str = "") -> None:
        self.members, self.identity = tuple(members), identity
        for member in self.members:
            member.eval().requires_grad_(False)  # noqa: FBT003 - torch's signature

    def map_of(self, asked: int | None) -> Map:
        """The one teacher's map that is asked for.

        Raises:
            UserError: of several teachers, or of one without such a map.
        """
        if len(self.members) > 1:
            raise UserError(
                f"{len(self.members)} teachers have no map in common: name one in training.distill.teacher, or set "
                "training.distill.hints_weight and attention_weight to 0."
            )
        return map_of(self.members[0], asked, "teacher")

    @torch.no_grad()
    def see(self, images: Tensor, *, map_cut: int | None = None) -> dict[str, Tensor]:
        """Logits and features of images, and the map before stage `map_cut` where that is asked for."""
        told, features = {}, []
        for member in self.members:
            activation, done = member.eval().to(images.device).normalise(images), 0
            if map_cut is not None:
                activation, done = member.trunk.run(activation, 0, map_cut), map_cut
                told["map"] = activation
            features.append(member.trunk.forward_from(activation, done))
        return {**told, **self.judge(features)}

    @torch.no_grad()
    def judge(self, features: Sequence[Tensor]) -> dict[str, Tensor]:
        """Logits and features from the features of each member."""
        pairs = zip(self.members, features, strict=True)
        logits = [member.head(member.standardise(each.float())) for member, each in pairs]
        return {"logits": torch.stack(logits).float().mean(dim=0), "features": torch.cat(list(features), dim=1)}


class Map(NamedTuple):
    """A map in the middle of a network: the stage before which it stands, and its number of channels."""

    cut: int
    channels: int


@torch.no_grad()
def map_of(classifier: Classifier, asked: int | None, whose: str) -> Map:
    """The map before the stage that is asked for, or the last one that a network has.

    Raises:
        UserError: where there is none.
    """
    maps = _maps(classifier)
    if not maps or (asked is not None and asked not in maps):
        found = f"before stages {', '.join(map(str, maps))}" if maps else "nowhere between its stages"
        raise UserError(
            f"training.distill.{whose}_cut is {asked}, but the {whose} ({classifier.trunk.architecture}) has maps "
            f"{found}: set another one, or training.distill.hints_weight and attention_weight to 0."
        )
    cut = max(maps) if asked is None else asked
    return Map(cut, maps[cut])


def _maps(classifier: Classifier) -> dict[int, int]:
    """Cut -> channels of the map (N, K, H, W) there, seen on a picture of the network's own size."""
    trunk = classifier.trunk
    if not trunk.cuttable:
        return {}
    modes = [(module, module.training) for module in classifier.modules()]
    classifier.eval()
    parameter = next(classifier.head.parameters())
    side = int(native_size(trunk.architecture)) if trunk.learns else 0
    activation, found = torch.zeros(1, 3, side, side, device=parameter.device, dtype=parameter.dtype), {}
    for stage in range(len(trunk.stage_names) - 1 if side else 0):
        activation = trunk.run(activation, stage, stage + 1)
        if activation.ndim == 4:
            found[stage + 1] = activation.shape[1]
    for module, mode in modes:
        module.training = mode
    return found


def load_teacher(folders: Sequence[Path]) -> Teacher:
    """The teacher that the models in these folders are together.

    Raises:
        UserError: where a file is missing, was changed or does not fit.
    """
    loaded = [load_checkpoint(folder) for folder in folders]
    return Teacher([network for network, _ in loaded], " ".join(card.sha256 for _, card in loaded))
