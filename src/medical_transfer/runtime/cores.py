"""How many cores there are to work with; no torch, so that reading images need not import it."""

from __future__ import annotations

import os

_share: list[int] = []


def cores() -> int:
    """Cores that this process may use: a container or a queue may give it fewer than the machine has."""
    there = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else (os.cpu_count() or 1)
    return min([there, *_share])


def take_share(number: int) -> None:
    """Use no more than so many cores from now on: other processes of the same run have the others."""
    _share[:] = [number]
