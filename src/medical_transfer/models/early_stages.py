"""The first stages of a network as a network of its own: a small student with pretrained weights.

`first4/<source>` is a source like any other: what the first four stages of the trunk give, averaged over the picture.
Late stages hold most parameters (EfficientNet-lite0: 3.1 of 3.4 million behind the fifth stage), early ones are what
transfers best to another domain (Raghu et al. 2019, "Transfusion", section 5).
"""

from __future__ import annotations

import re
from dataclasses import replace

from medical_transfer.models.source import Source
from medical_transfer.types import UserError

_EARLY = re.compile(r"first([0-9]+)/(.+)")


def early_name(name: str) -> tuple[int, str] | None:
    """Number of stages and the name behind it; None: the name asks for a whole network."""
    found = _EARLY.fullmatch(name)
    return (int(found.group(1)), found.group(2)) if found else None


def whole_of(name: str) -> str:
    """The source or architecture of which the first stages are asked for; the same name where all of it is."""
    early = early_name(name)
    return name if early is None else early[1]


def early_source(stages: int, whole: Source) -> Source:
    """The source that is the first stages of another.

    Raises:
        UserError: where no stage is asked for, or the other is not one network of torch layers.
    """
    if stages < 1 or not whole.trainable:
        reason = "a network has one stage at least" if stages < 1 else "it has no stages of torch layers"
        raise UserError(f"Source 'first{stages}/{whole.name}' does not exist ({reason}): name another one.")
    names = {"name": f"first{stages}/{whole.name}", "architecture": f"first{stages}/{whole.architecture}"}
    return replace(whole, **names, parameters=None, source_accuracy=None)
