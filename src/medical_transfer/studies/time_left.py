"""How far a study is and how long the rest will take, told from the trials that ran."""

from __future__ import annotations

import logging
import math
from collections import Counter, defaultdict
from collections.abc import Sequence
from typing import Protocol

logger = logging.getLogger(__name__)


class Timed(Protocol):
    """What is run and told of: `str` says what it is."""

    @property
    def method(self) -> str:
        """What takes about as long belongs together."""


class TimeLeft:
    """Counts the trials that are really run; a method of which none ran yet is taken for the mean of all.

    Args:
        name: of the study.
        waiting: the trials to run; of one whose setting is not known yet, anything with its method.
        at_once: so many run at the same time.
    """

    def __init__(self, name: str, waiting: Sequence[Timed], at_once: int = 1) -> None:
        self.name, self.at_once, self.ran, self.all = name, at_once, 0, len(waiting)
        self.waiting = Counter(trial.method for trial in waiting)
        self.seconds: dict[str, list[float]] = defaultdict(list)

    def skip(self, trial: Timed) -> None:
        """Leave out a trial that waited and need not be run."""
        self.all -= 1
        self.waiting[trial.method] -= 1

    def tell(self, trial: Timed, seconds: float) -> None:
        """Count one of the trials that waited, and log the time left."""
        self.ran += 1
        self.waiting[trial.method] -= 1
        if not math.isnan(seconds):  # as of a process that died
            self.seconds[trial.method].append(seconds)
        rest = f"{_about(self.left())} left" if self.ran < self.all else "no more"
        place = f"{self.ran} of {self.all}"
        logger.info("Study %s: trial %s (%s) took %s, %s", self.name, place, trial, in_words(seconds), rest)

    def left(self) -> float:
        """Seconds that the trials which still wait will take; NaN where none ran yet."""
        everything = [each for found in self.seconds.values() for each in found]
        means = {method: _mean(self.seconds.get(method) or everything) for method in self.waiting}
        return sum(number * means[method] for method, number in self.waiting.items() if number) / self.at_once


def in_words(seconds: float) -> str:
    """Seconds, minutes or hours, whichever reads best."""
    if math.isnan(seconds):
        return "an unknown time"
    if seconds < 90:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 90 * 60 else f"{seconds / 3600:.1f} h"


def _about(seconds: float) -> str:
    return in_words(seconds) if math.isnan(seconds) else f"about {in_words(seconds)}"


def _mean(values: Sequence[float]) -> float:
    return sum(values) / len(values) if values else math.nan
