"""What all parameter blocks share: they are frozen, and an unknown key stops the run."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict


class Block(BaseModel):
    """A block of parameters, validated before the first node runs."""

    model_config = ConfigDict(extra="forbid", frozen=True, use_attribute_docstrings=True, allow_inf_nan=False)


class Run(Block):
    """What belongs to the whole run."""

    seed: int = 0
    """Root seed; every random stream is derived from it by name."""
