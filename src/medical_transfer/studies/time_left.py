"""How far a study is and how long the rest will take, told from the trials that ran."""

from __future__ import annotations

import logging
from collections import defaultdict
from collections.abc import Sequence

from medical_transfer.studies.trials import Trial

logger = logging.getLogger(__name__)


class TimeLeft:
    """Counts the trials that are really run; a method of which none ran yet is taken for the mean of all.

    Args:
        name: of the study.
        waiting: the trials to run, in their order.
    """

    def __init__(self, name: str, waiting: Sequence[Trial]) -> None:
        self.name, self.waiting, self.ran = name, list(waiting), 0
        self.seconds: dict[str, list[float]] = defaultdict(list)

    def tell(self, trial: Trial, seconds: float) -> None:
        """Count the next of the trials that waited, and log the time left."""
        self.ran += 1
        self.seconds[trial.method].append(seconds)
        rest = f"about {in_words(self.left())} left" if self.waiting[self.ran :] else "no more"
        place = f"{self.ran} of {len(self.waiting)}"
        logger.info("Study %s: trial %s (%s) took %s, %s", self.name, place, trial, in_words(seconds), rest)

    def left(self) -> float:
        """Seconds that the trials which still wait will take; at least one ran."""
        everything = [each for found in self.seconds.values() for each in found]
        return sum(_mean(self.seconds.get(trial.method) or everything) for trial in self.waiting[self.ran :])


def in_words(seconds: float) -> str:
    """Seconds, minutes or hours, whichever reads best."""
    if seconds < 90:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 90 * 60 else f"{seconds / 3600:.1f} h"


def _mean(values: Sequence[float]) -> float:
    return sum(values) / len(values)
