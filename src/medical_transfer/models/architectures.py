"""Networks by name, without weights: `timm/<name>`, `torchvision/<name>` and the few of the house menu.

The name alone rebuilds a network, so a checkpoint needs nothing else. Every network is built from a seed of its own and
leaves torch's global random numbers where they were.
"""

from __future__ import annotations

import difflib
from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import nn

from medical_transfer.models.derived import whole_of
from medical_transfer.models.digit_nets import DIGIT_NETS
from medical_transfer.models.students import CHAPTER
from medical_transfer.types import UserError

LEAKY_SLOPE = 0.55
"""The Places365 source was trained with randomised leaky ReLU; this is its published deterministic slope."""

AUXILIARY_HEADS = ("aux1", "aux2", "AuxLogits")
"""Classifiers in the middle of googlenet and inception, for training only."""


def build_architecture(architecture: str, *, classes: int = 1000, seed: int = 0) -> nn.Module:
    """Build an untrained network with its own head of so many classes.

    Of `first<k>/<architecture>` and the like the whole network: `medical_transfer.models.stages.Trunk` takes its part.

    Raises:
        UserError: where no library of that name, or no network of that name, exists.
    """
    architecture = whole_of(architecture)
    library, _, name = architecture.partition("/")
    if library not in LIBRARIES or not name:
        raise UserError(f"Unknown architecture {architecture!r}: expected one of {', '.join(LIBRARIES)} and '/<name>'.")
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return LIBRARIES[library](name, classes)


def behead(network: nn.Module) -> nn.Module:
    """Take the classification layer off, in place: the network then gives pooled features (N, D).

    The dropout that stands directly before the layer belongs to the head and goes with it.
    """
    reset: Any = getattr(network, "reset_classifier", None)
    if reset is not None:  # every network of timm
        reset(0)
        return network
    if getattr(network, "aux_logits", False):  # googlenet and inception: classifiers in the middle, for training only
        _drop_auxiliary_heads(network)
    last = last_linear(network)
    if last is not None:
        _drop_last_layer(network, last)
    else:  # SqueezeNet: its classifier is a convolution, followed by ReLU and the pooling
        network.classifier = nn.AdaptiveAvgPool2d(1)
    return network


def last_linear(network: nn.Module) -> str | None:
    """Path of the last linear layer, the classification layer of torchvision's networks; None: there is none."""
    linears = [name for name, module in network.named_modules() if isinstance(module, nn.Linear)]
    return linears[-1] if linears else None


def head_tensors(architecture: str) -> frozenset[str]:
    """Names of the tensors of the network's own head."""
    network = build_architecture(architecture)
    names = frozenset(network.state_dict())
    return names - frozenset(behead(network).state_dict())


def native_size(architecture: str) -> int:
    """Side in pixels for which the network was made."""
    library, _, name = whole_of(architecture).partition("/")
    match library:
        case "timm":
            return int(timm_facts(name).input_size[-1])
        case "torchvision":
            from torchvision import models  # noqa: PLC0415

            return int(models.get_model_weights(name).DEFAULT.transforms().crop_size[0])
    return 32 if name.endswith("_cifar") or name in CHAPTER or name in DIGIT_NETS else 224


def timm_facts(name: str) -> Any:
    """What timm states of a network or of its published weights (`PretrainedCfg`).

    Raises:
        UserError: where timm has no network of that name.
    """
    import timm  # noqa: PLC0415 - 2 s, and only needed for this library

    try:
        facts = timm.get_pretrained_cfg(name) if timm.is_model(name) else None
    except RuntimeError:  # a tag that the network does not have
        facts = None
    if facts is None:
        raise UserError(unknown_network("timm", name, timm.list_models(pretrained="." in name)))
    return facts


def _timm(name: str, classes: int) -> nn.Module:
    import timm  # noqa: PLC0415 - 2 s, and only needed for this library

    if not timm.is_model(name):
        raise UserError(unknown_network("timm", name, timm.list_models()))
    network: nn.Module = timm.create_model(name, pretrained=False, num_classes=classes)
    return network


def _torchvision(name: str, classes: int) -> nn.Module:
    from torchvision import models  # noqa: PLC0415

    if name not in (known := models.list_models(module=models)):
        raise UserError(unknown_network("torchvision", name, known))
    extra: dict[str, Any] = {}
    if name in ("googlenet", "inception_v3"):  # built as their published weights want them
        extra = {"init_weights": False, "transform_input": True, "aux_logits": True}
    network: nn.Module = models.get_model(name, weights=None, num_classes=classes, **extra)
    return network


def _house(name: str, classes: int) -> nn.Module:
    if name not in HOUSE:
        raise UserError(unknown_network("house", name, list(HOUSE)))
    return HOUSE[name](classes)


def _cifar_resnet(blocks: int) -> Callable[[int], nn.Module]:
    """ResNet for 32 x 32 pixels (He et al. 2016, section 4.2): three stages of so many basic blocks, no max pooling."""

    def build(classes: int) -> nn.Module:
        from timm.models.resnet import BasicBlock, ResNet  # noqa: PLC0415

        widths = (16, 32, 64)
        layers = (blocks,) * 3
        block: Any = BasicBlock
        network: nn.Module = ResNet(
            block, layers=layers, channels=widths, num_classes=classes, stem_type="deep", stem_width=8
        )
        network.conv1 = nn.Conv2d(3, widths[0], 3, 1, 1, bias=False)
        network.bn1 = nn.BatchNorm2d(widths[0])
        network.maxpool = nn.Identity()
        network.layer4 = nn.Identity()
        return network

    return build


def _leaky_squeezenet(classes: int) -> nn.Module:
    network = _torchvision("squeezenet1_1", classes)
    for name, module in list(network.named_modules()):
        if isinstance(module, nn.ReLU):
            network.set_submodule(name, nn.LeakyReLU(LEAKY_SLOPE, inplace=True))
    return network


def _drop_last_layer(network: nn.Module, name: str) -> None:
    network.set_submodule(name, nn.Identity())
    parent, _, index = name.rpartition(".")
    if index.isdigit() and int(index) > 0:
        before = f"{parent}.{int(index) - 1}"
        if isinstance(network.get_submodule(before), nn.Dropout):
            network.set_submodule(before, nn.Identity())


def _drop_auxiliary_heads(network: nn.Module) -> None:
    network.aux_logits = False  # type: ignore[assignment]
    for name in AUXILIARY_HEADS:
        if hasattr(network, name):
            setattr(network, name, None)


def unknown_network(library: str, name: str, known: Sequence[str]) -> str:
    """The sentence for a name that a library does not have."""
    near = difflib.get_close_matches(name, known, n=5) or sorted(known)[:5]
    return f"{library} has no network {name!r}: choose one of its {len(known)} names, for instance {', '.join(near)}."


LIBRARIES: dict[str, Callable[[str, int], nn.Module]] = {"timm": _timm, "torchvision": _torchvision, "house": _house}

HOUSE: dict[str, Callable[[int], nn.Module]] = {
    "resnet20_cifar": _cifar_resnet(3),
    "resnet56_cifar": _cifar_resnet(9),
    "squeezenet1_1_leaky": _leaky_squeezenet,
    **CHAPTER,
    **DIGIT_NETS,
}
