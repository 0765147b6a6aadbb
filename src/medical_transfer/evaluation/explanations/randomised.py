"""The same network with weights that know nothing: what a map of what was learned must differ from.

Source: Adebayo et al. (2018), section 3: weights are drawn anew from the top of the network downwards.
"""

from __future__ import annotations

import copy

import torch
from torch import Tensor, nn

from medical_transfer.models.classifier import Classifier
from medical_transfer.models.graph_trunk import GraphTrunk
from medical_transfer.types import DoesNotApplyError

LEVELS = {"head": "the head", "whole": "the whole network"}
"""What is drawn anew -> what it is called. Where the trunk was never trained here, the head is all that was learned."""


def check_level(classifier: Classifier, level: str) -> None:
    """Refuse to draw anew what cannot be.

    Raises:
        DoesNotApplyError: the trunk, or one of several, exists only as a graph.
    """
    if level != "head" and any(isinstance(module, GraphTrunk) for module in classifier.trunk.modules()):
        raise DoesNotApplyError("weights of a trunk that exists only as a graph cannot be drawn anew")


def randomised(classifier: Classifier, level: str, images: Tensor, seed: int) -> Classifier:
    """A copy, in eval mode, whose head (`head`) or all of it (`whole`) has new weights from `seed`.

    Norms and the scale of features are fitted to `images` again where the trunk is new: with statistics of the trained
    network a random one may fall silent, and a map of silence differs from any other for no good reason.

    Raises:
        DoesNotApplyError: as `check_level`.
    """
    check_level(classifier, level)
    new = copy.deepcopy(classifier).eval()
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        draw_anew(new.head)
        if level == "whole":
            draw_anew(new.trunk)
    if level == "whole":
        _fit_statistics(new, images)
    return new


@torch.no_grad()
def draw_anew(part: nn.Module) -> None:
    """Give a part the weights that its layers begin with, in place; tensors outside such layers are shuffled."""
    drawn: set[int] = set()
    for module in part.modules():
        reset = getattr(module, "reset_parameters", None)
        if callable(reset):
            reset()
            drawn |= {id(parameter) for parameter in module.parameters(recurse=False)}
    for parameter in part.parameters():
        if id(parameter) not in drawn:
            parameter.copy_(parameter.flatten()[torch.randperm(parameter.numel())].view_as(parameter))


@torch.no_grad()
def _fit_statistics(classifier: Classifier, images: Tensor) -> None:
    norms = [each for each in classifier.trunk.modules() if isinstance(each, nn.modules.batchnorm._BatchNorm)]
    momenta = [norm.momentum for norm in norms]
    for norm in norms:
        norm.reset_running_stats()
        norm.train().momentum = None  # the mean over all batches, of which there is one
    classifier.features(images)
    for norm, momentum in zip(norms, momenta, strict=True):
        norm.eval().momentum = momentum
    classifier.standardise.fit(classifier.features(images))
