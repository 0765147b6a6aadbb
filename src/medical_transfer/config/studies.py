"""How trials of any study are run: in this process, or in several by Ray."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from medical_transfer.config.base import Block


class Studies(Block):
    """Where the trials of studies run; it changes how long a study takes, and not what a trial is."""

    executor: Literal["in_process", "ray"] = "in_process"
    """`in_process`: one after the other; `ray`: several at once, each in a process of its own (extra `distributed`)."""
    cpus_per_trial: int = Field(default=1, ge=1)
    """With `ray`: cores, and threads, of one trial."""
    gpus_per_trial: float = Field(default=0.0, ge=0)
    """With `ray`: GPUs of one trial, 0.5 where two share one; 0: trials see no GPU."""
    address: str | None = None
    """With `ray`: a cluster that is there (`auto`, or its address); null: one that is made on this machine and ended
    with the study. All machines of a cluster must have this project and its `run_root` under the same paths."""
