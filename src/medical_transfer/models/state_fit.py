"""Tensors into a network: all of them, of the right shape, or a sentence that names the first three that do not fit."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from collections.abc import Set as AbstractSet

from torch import Tensor, nn

from medical_transfer.models.architectures import AUXILIARY_HEADS
from medical_transfer.models.weights import Match
from medical_transfer.types import UserError

COUNTER = "num_batches_tracked"
"""Batch norm's counter: it changes nothing where the momentum is set, and older files lack it."""


def fit_state(
    network: nn.Module,
    state: Mapping[str, Tensor],
    *,
    origin: str,
    match: Match = "names",
    ignored: AbstractSet[str] = frozenset(),
    prefix: str = "",
    advice: str = "Name the architecture and the number of classes that these weights were made for.",
) -> None:
    """Copy `state` into `network`, in place.

    Args:
        network: takes the values; half precision is widened.
        state: tensors as their file names them.
        origin: what the tensors are called in an error.
        match: by name, by position (then the last part of the names, weight or running_mean, must agree too), or by
            the number of the child module that names begin with.
        ignored: tensors of the network that the file does not hold (its head).
        prefix: what was already taken off the names.
        advice: what to do where they do not fit; another prefix that the names carry comes before it.

    Raises:
        UserError: naming the first three mismatches.
    """
    wanted = {name: tensor for name, tensor in network.state_dict().items() if name not in ignored}
    found = dict(state)
    if match == "order":
        found = _renamed_by_position(_without_counters(found), list(_without_counters(wanted)))
    elif match == "children":
        found = _renamed_by_children(found, network)
    learned, needed = _without_counters(found), _without_counters(wanted)
    problems = _mismatches(learned, needed)
    if problems:
        more = f" (and {len(problems) - 3} more)" if len(problems) > 3 else ""
        raise UserError(
            f"{origin} does not fit the architecture: {'; '.join(problems[:3])}{more}. "
            f"{_carried(learned, needed, prefix) or advice}"
        )
    network.load_state_dict(found, strict=False)


def _carried(found: Mapping[str, Tensor], wanted: Mapping[str, Tensor], taken: str) -> str:
    """Advice to take off what stands before the wanted names in the file (a wrapper, a part of a larger network)."""
    common = Counter(
        name.removesuffix(inner)
        for name in found
        for inner in _ends_of(name)
        if inner in wanted and found[name].shape == wanted[inner].shape
    )
    carried, fitting = max(common.items(), key=lambda each: each[1], default=("", 0))
    if 2 * fitting <= len(wanted):
        return ""
    return (
        f"In the file {carried!r} stands before {fitting} of the {len(wanted)} names: set `prefix: {taken}{carried}` "
        "in the entry of backbones.own."
    )


def _ends_of(name: str) -> list[str]:
    """Every end of a dotted name that begins after a dot, longest first."""
    parts = name.split(".")
    return [".".join(parts[start:]) for start in range(1, len(parts))]


def _without_counters(tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    return {name: tensor for name, tensor in tensors.items() if not name.endswith(COUNTER)}


def _renamed_by_position(found: Mapping[str, Tensor], wanted: list[str]) -> dict[str, Tensor]:
    """Give the n-th tensor the n-th wanted name; one whose kind differs keeps its own, and so shows as a mismatch."""
    renamed = {}
    for index, (name, tensor) in enumerate(found.items()):
        target = wanted[index] if index < len(wanted) else name
        same_kind = target.rpartition(".")[2] == name.rpartition(".")[2]
        renamed[target if same_kind else name] = tensor
    return renamed


def _renamed_by_children(found: Mapping[str, Tensor], network: nn.Module) -> dict[str, Tensor]:
    """`7.0.conv1.weight` to `layer4.0.conv1.weight`: heads for training only are not counted, as in files without them.

    A name whose number has no child keeps it, and so shows as a mismatch.
    """
    children = [name for name, _ in network.named_children() if name not in AUXILIARY_HEADS]
    numbers = {str(number): child for number, child in enumerate(children)}
    renamed = {}
    for name, tensor in found.items():
        number, dot, rest = name.partition(".")
        renamed[f"{numbers.get(number, number)}{dot}{rest}"] = tensor
    return renamed


def _mismatches(found: Mapping[str, Tensor], wanted: Mapping[str, Tensor]) -> list[str]:
    problems = []
    for name, tensor in wanted.items():
        if name not in found:
            problems.append(f"{name} is missing")
        elif found[name].shape != tensor.shape:
            problems.append(f"{name} found {tuple(found[name].shape)}, expected {tuple(tensor.shape)}")
    return problems + [f"{name} is not expected" for name in found if name not in wanted]
