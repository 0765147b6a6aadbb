"""A source made of several: their features side by side, named `a+b`.

Each member keeps the preprocessing that it was trained with, so the fusion itself wants plain pixels. Its facts are
those of all its members: licences that hold together, parameters that add up. Its features are frozen: what several
networks learn together is no business of a fusion.
"""

from __future__ import annotations

from collections.abc import Sequence

from medical_transfer.config.backbones import JOIN
from medical_transfer.models.preprocessing import Preprocessing
from medical_transfer.models.source import Fused, Source
from medical_transfer.types import UserError


def members_of(name: str) -> tuple[str, ...]:
    """Names of the sources that a name speaks of: itself, or those that a `+` joins.

    Raises:
        UserError: where a joined name is empty or comes twice.
    """
    members = tuple(name.split(JOIN))
    if len(members) > 1 and ("" in members or len(set(members)) < len(members)):
        found = f"{', '.join(map(repr, members))} in {name!r}"
        raise UserError(
            f"Sources side by side are two or more different names joined by {JOIN}, "
            f"for example efficientnet_lite0{JOIN}efficientnet_lite1; found {found}."
        )
    return members


def fuse(members: Sequence[Source]) -> Source:
    """The source whose features are those of `members`, side by side in their order.

    Its domain and licence name those of all members, each once, since all licences hold. `parameters` is the sum, None
    where that of a member is not known; no accuracy is published for a fusion, and it has no head of its own.
    """
    counts = [member.parameters for member in members if member.parameters is not None]
    return Source(
        name=JOIN.join(member.name for member in members),
        domain=" and ".join(dict.fromkeys(member.domain for member in members)),
        architecture=Fused.architecture,
        weights=Fused(tuple(members)),
        preprocessing=Preprocessing(
            mean=(0.0, 0.0, 0.0), std=(1.0, 1.0, 1.0), size=max(member.preprocessing.size for member in members)
        ),
        licence="; ".join(dict.fromkeys(member.licence for member in members)),
        classes=0,
        parameters=sum(counts) if len(counts) == len(members) else None,
    )
