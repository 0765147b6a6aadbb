"""What all parameter blocks share: they are frozen, and an unknown key stops the run."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

from pydantic import AfterValidator, BaseModel, ConfigDict


class Block(BaseModel):
    """A block of parameters, validated before the first node runs."""

    model_config = ConfigDict(extra="forbid", frozen=True, use_attribute_docstrings=True, allow_inf_nan=False)


def each_once(block: str, **lists: Sequence[object]) -> None:
    """Refuse lists of a block that name something twice.

    Raises:
        ValueError: one does; it is named.
    """
    for name, values in lists.items():
        if len(set(values)) < len(values):
            raise ValueError(f"{block}.{name} is {list(values)}: name each once")


def at_home(path: Path) -> Path:
    """Read a leading `~` as the home folder: a shell only does so where it stands alone.

    Raises:
        ValueError: where it names a user who is not known here.
    """
    try:
        return path.expanduser()
    except RuntimeError as error:
        raise ValueError(f"{path} names a home folder that is not known here: write the whole path") from error


UserPath = Annotated[Path, AfterValidator(at_home)]
"""A path as users write it; `~` is the home folder."""


class Run(Block):
    """What belongs to the whole run."""

    seed: int = 0
    """Root seed; every random stream is derived from it by name."""
