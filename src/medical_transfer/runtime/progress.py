"""Progress on long work: a bar on a terminal, nothing in a log file."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import TypeVar

from tqdm import tqdm

T = TypeVar("T")


def progress(items: Iterable[T], description: str, total: int | None = None, unit: str = "image") -> Iterator[T]:
    """Yield `items` and draw a bar with the time left while standard error is a terminal."""
    yield from tqdm(items, desc=description, total=total, unit=unit, disable=None, dynamic_ncols=True, leave=False)
