"""Sources made of others by their names: the first stages of a network, and a network that sees smaller pictures.

`first4/<source>` is what the first four stages of its trunk give, averaged over the picture. Late stages hold most
parameters (EfficientNet-lite0: 3.1 of 3.4 million behind the fifth stage), early ones are what transfers best to
another domain (Raghu et al. 2019, "Transfusion", section 5). `first5.1/<source>` adds the first block of the sixth
stage, where whole stages are too coarse a step. `at112/<source>` shrinks each picture to 112 pixels before its first
layer, so that it sees the same pictures as its teacher and computes less. Both may be joined: `at112/first4/<source>`.
"""

from __future__ import annotations

import re
from dataclasses import replace
from typing import NamedTuple

from medical_transfer.models.source import Source
from medical_transfer.types import UserError

_DERIVED = re.compile(r"(?:(first)([0-9]+)(?:\.([0-9]+))?|(at)([0-9]+))/(.+)")
SMALLEST = 16
"""Pixels of a side below which no network sees anything."""


class Derived(NamedTuple):
    """How a name derives from another: `first` stages or `at` pixels, how many, and the name behind it.

    `blocks` are those of one more stage; None: only whole stages.
    """

    kind: str
    number: int
    of: str
    blocks: int | None = None

    @property
    def prefix(self) -> str:
        """What stands before the other name."""
        return f"{self.kind}{self.number}{'' if self.blocks is None else f'.{self.blocks}'}/"


def derived(name: str) -> Derived | None:
    """What a name of a source or architecture asks for; None: the network as it is."""
    found = _DERIVED.fullmatch(name)
    if found is None:
        return None
    first, stages, blocks, at, pixels, of = found.groups()
    return Derived(first or at, int(stages or pixels), of, int(blocks) if blocks else None)


def whole_of(name: str) -> str:
    """The source or architecture behind all that a name derives from it."""
    asked = derived(name)
    return name if asked is None else whole_of(asked.of)


def derived_source(asked: Derived, other: Source) -> Source:
    """The source that is derived from another.

    Raises:
        UserError: where that makes no sense, or the other is not one network of torch layers.
    """
    reason = ""
    if not other.trainable:
        reason = "it has no stages of torch layers"
    elif asked.number < (1 if asked.kind == "first" else SMALLEST):
        reason = "one stage is the least" if asked.kind == "first" else f"{SMALLEST} pixels are the least"
    elif asked.blocks == 0:
        reason = f"one block more is the least, and without any it is 'first{asked.number}/{other.name}'"
    if reason:
        raise UserError(f"There is no source '{asked.prefix}{other.name}' ({reason}): name another one.")
    name, architecture = asked.prefix + other.name, asked.prefix + other.architecture
    return replace(other, name=name, architecture=architecture, parameters=None, source_accuracy=None)
