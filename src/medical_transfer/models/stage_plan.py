"""How a network divides into ordered stages: found by proposing a chain of its parts and checking it on numbers.

A plan is a fact of the architecture, not of its weights: the check runs on an untrained network whose norms and biases
are moved away from 0 and 1, so that a forgotten layer shows. It is made once per architecture and process.

Rules, in this order:
1. The parts are the network's children. Where fewer than four of them carry weights, plain `Sequential`s are opened
   (a `ModuleList` always is): EfficientNet is opened, ResNet with its four layers is not.
2. A part that carries weights (a tensor of two or more dimensions) begins a stage; norms, activations and pooling join
   the stage before them. So EfficientNet-lite has nine stages: the stem, seven of blocks, and `conv_head` (with its
   norm and the global pooling); ResNet has five: the stem with its max pooling, and four layers.
3. Where that gives more than twelve (MobileNetV2, VGG list single blocks), neighbours of one resolution are one stage.
4. The chain, with one of a few endings, must give bit for bit what the network gives, and own every parameter and
   buffer. If none does (vision transformers), the network is kept whole: it has ordered groups of parameters that can
   be frozen, but no place to cut it.
"""

from __future__ import annotations

import functools
import itertools
import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor, nn
from torch.nn import functional

from medical_transfer.models.architectures import behead, build_architecture, native_size
from medical_transfer.types import UserError

FEWEST_PARTS = 4
MOST_STAGES = 12

FUNCTIONS: dict[str, Callable[[Tensor], Tensor]] = {
    "relu()": functional.relu,
    "pool()": lambda x: x.mean((2, 3)),
    "flatten()": lambda x: torch.flatten(x, 1),
}
"""Steps that some networks take in their `forward` without a module."""
_SHRINK = re.compile(r"shrink([0-9]+)\(\)")
"""Another such step: pictures to so many pixels of a side, bilinear (ONNX of this opset has no antialiasing)."""


@dataclass(frozen=True, slots=True)
class Stage:
    """One stage: its parts (paths of modules, or names of FUNCTIONS) in order, and the names of its parameters.

    `entry` is the size of the activation before it: numbers per number of the image, at the network's native size.
    """

    name: str
    parts: tuple[str, ...]
    parameters: tuple[str, ...]
    entry: float = 1.0


@dataclass(frozen=True, slots=True)
class StagePlan:
    """Ordered stages of a headless network; where `cuttable`, running all parts in order is the network."""

    stages: tuple[Stage, ...]
    feature_dim: int
    cuttable: bool


def run_part(network: nn.Module, part: str, x: Tensor) -> Tensor:
    """Apply one part of a stage."""
    function = FUNCTIONS.get(part)
    if function is not None:
        return function(x)
    shrunk = _SHRINK.fullmatch(part)
    if shrunk is not None:
        side = int(shrunk.group(1))
        return functional.interpolate(x, size=(side, side), mode="bilinear", align_corners=False)
    result: Tensor = network.get_submodule(part)(x)
    return result


@functools.cache
def plan_stages(architecture: str) -> StagePlan:
    """Divide an architecture into stages.

    Raises:
        UserError: where the headless network does not give one vector per image.
    """
    network = behead(build_architecture(architecture)).eval()
    size = native_size(architecture)
    generator = torch.Generator().manual_seed(0)
    _shake(network, generator)
    images = torch.rand(2, 3, size, size, generator=generator)
    with torch.no_grad():
        features = network(images)
        if features.ndim != 2:
            raise UserError(
                f"{architecture} gives features of shape {tuple(features.shape)}: expected one vector per image; "
                "choose a network with global pooling."
            )
        stages = _find_chain(network, images, features)
    dim = features.shape[1]
    if stages is None:
        return StagePlan(stages=_whole_network_stages(network), feature_dim=dim, cuttable=False)
    return StagePlan(stages=stages, feature_dim=dim, cuttable=True)


def _shake(network: nn.Module, generator: torch.Generator) -> None:
    """Move norms and biases off their initial 0 and 1; variances stay positive."""
    with torch.no_grad():
        for tensor in (*network.parameters(), *network.buffers()):
            if tensor.is_floating_point() and tensor.ndim <= 1:
                tensor.add_(0.3 * torch.rand(tensor.shape, generator=generator))


# --- the chain --------------------------------------------------------------------------------------------------------


def _find_chain(network: nn.Module, images: Tensor, features: Tensor) -> tuple[Stage, ...] | None:
    parts = _open_children(network)
    if not _owns_everything(network, parts):
        return None
    for ending in (_as_it_is, _flatten_after_pool, _pool, _relu_and_pool):
        chain = ending(parts)
        shapes = _run(network, chain, images, features)
        if shapes is not None:
            return _group(network, chain, shapes)
    return None


def _as_it_is(parts: list[str]) -> list[str]:
    return parts


def _flatten_after_pool(parts: list[str]) -> list[str]:
    return [step for part in parts for step in ((part, "flatten()") if part == "avgpool" else (part,))]


def _pool(parts: list[str]) -> list[str]:
    return [*parts, "pool()"]


def _relu_and_pool(parts: list[str]) -> list[str]:
    return [*parts, "relu()", "pool()"]


def _open_children(network: nn.Module) -> list[str]:
    children = dict(network.named_children())
    opened: tuple[type[nn.Module], ...] = (nn.ModuleList,)
    if sum(_carries_weights(child) for child in children.values()) < FEWEST_PARTS:
        opened = (nn.ModuleList, nn.Sequential)
    parts: dict[str, nn.Module] = {}
    for name, child in children.items():
        inner = {f"{name}.{key}": module for key, module in child.named_children()}
        parts |= inner if type(child) in opened else {name: child}  # not of their subclasses: those are blocks
    return [name for name, part in parts.items() if not isinstance(part, nn.Identity)]


def _carries_weights(module: nn.Module) -> bool:
    return any(parameter.ndim >= 2 for parameter in module.parameters())


def _begins_stage(network: nn.Module, part: str) -> bool:
    return part not in FUNCTIONS and _carries_weights(network.get_submodule(part))


def _owns_everything(network: nn.Module, parts: Sequence[str]) -> bool:
    prefixes = tuple(f"{part}." for part in parts)
    return all(name.startswith(prefixes) for name in network.state_dict())


def _run(network: nn.Module, chain: Sequence[str], images: Tensor, features: Tensor) -> list[torch.Size] | None:
    """Shapes of an image and of its activation after each part, where the chain gives exactly the network's features.

    Else None.
    """
    shapes = [images.shape[1:]]
    x = images
    try:
        for part in chain:
            before, given = x.clone(), x
            x = run_part(network, part, x)
            if _begins_stage(network, part) and not torch.equal(before, given):
                return None  # it overwrites its input, which may be somebody's cache
            shapes.append(x.shape[1:])
    except (RuntimeError, TypeError, ValueError, IndexError, AttributeError, AssertionError):
        return None  # the parts do not fit one another: this proposal is wrong, another may be right
    return shapes if torch.equal(x, features) else None


def _group(network: nn.Module, chain: Sequence[str], shapes: Sequence[torch.Size]) -> tuple[Stage, ...]:
    weighty = [_begins_stage(network, part) for part in chain]
    stages = _merge(range(len(chain)), begins=weighty.__getitem__)
    if len(stages) > MOST_STAGES:
        widths = [shape[1] if len(shape) == 3 else 1 for shape in shapes[1:]]
        firsts = [stage[0] for stage in stages]
        falls = {b for a, b in itertools.pairwise(firsts) if widths[b] < widths[a]}
        stages = _merge(range(len(chain)), begins=(falls | {0}).__contains__)
    sizes = [shape.numel() / shapes[0].numel() for shape in shapes]
    return tuple(
        replace(_stage(network, [chain[i] for i in stage], first=n == 0), entry=sizes[stage[0]])
        for n, stage in enumerate(stages)
    )


def _merge(indices: Iterable[int], begins: Callable[[int], bool]) -> list[list[int]]:
    """Cut a sequence before each index that begins something new; what comes before the first one joins it."""
    pieces: list[list[int]] = [[]]
    begun = False
    for index in indices:
        if begins(index) and begun:
            pieces.append([])
        begun = begun or begins(index)
        pieces[-1].append(index)
    return pieces


def _stage(network: nn.Module, parts: Sequence[str], *, first: bool) -> Stage:
    weighty = [part for part in parts if _begins_stage(network, part)]
    name = "stem" if first else "..".join(dict.fromkeys((weighty[0], weighty[-1])))
    prefixes = tuple(f"{part}." for part in parts)
    owned = tuple(name for name, _ in network.named_parameters() if name.startswith(prefixes))
    return Stage(name=name, parts=tuple(parts), parameters=owned)


def blocks_of(network: nn.Module, stage: Stage) -> list[list[str]]:
    """The parts of a stage by blocks: a plain `Sequential` is opened; a norm or pooling joins the block before it."""
    parts = [inner for part in stage.parts for inner in _opened(network, part)]
    blocks = _merge(range(len(parts)), begins=lambda index: _begins_stage(network, parts[index]))
    return [[parts[index] for index in block] for block in blocks]


def _opened(network: nn.Module, part: str) -> list[str]:
    module = None if part in FUNCTIONS else network.get_submodule(part)
    return [f"{part}.{name}" for name, _ in module.named_children()] if type(module) is nn.Sequential else [part]


# --- networks that are kept whole -------------------------------------------------------------------------------------


def _whole_network_stages(network: nn.Module) -> tuple[Stage, ...]:
    groups = _timm_groups(network) if hasattr(network, "group_matcher") else _numbered_groups(network)
    stages = []
    for index, names in enumerate(groups):
        owned = tuple(names)
        name = "stem" if index == 0 else _numbered_prefix(owned[0]) or owned[0].rpartition(".")[0] or owned[0]
        stages.append(Stage(name=name, parts=_modules_within(network, owned), parameters=owned))
    return tuple(stages)


def _timm_groups(network: nn.Module) -> list[list[str]]:
    from timm.models import group_parameters  # noqa: PLC0415 - only where a network of timm is kept whole

    groups: dict[int, list[str]] = group_parameters(network, network.group_matcher(coarse=False))  # type: ignore[operator]
    return [groups[index] for index in sorted(groups)]


def _numbered_groups(network: nn.Module) -> list[list[str]]:
    """Parameters in order of registration; a new group where the path's first numbered component changes."""
    groups: list[list[str]] = [[]]
    current: str | None = None
    for name, _ in network.named_parameters():
        prefix = _numbered_prefix(name)
        if prefix is not None and prefix != current:
            groups.append([])
            current = prefix
        groups[-1].append(name)
    return [group for group in groups if group]


def _numbered_prefix(name: str) -> str | None:
    found = re.match(r"(?:[^.\d]+\.)*[^.]*\d[^.]*(?=\.)", name)
    return found.group() if found else None


def _modules_within(network: nn.Module, names: Sequence[str]) -> tuple[str, ...]:
    """Outermost modules whose parameters all belong to `names`."""
    owned = set(names)
    found: list[str] = []
    for path, module in network.named_modules():
        mine = [f"{path}.{name}" for name, _ in module.named_parameters()] if path else []
        if mine and owned.issuperset(mine) and not path.startswith(tuple(f"{outer}." for outer in found)):
            found.append(path)
    return tuple(found)
