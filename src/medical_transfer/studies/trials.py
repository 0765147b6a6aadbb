"""A trial: one method in one setting under one seed; and what came of it."""

from __future__ import annotations

import math
from collections.abc import Hashable, Mapping
from dataclasses import asdict, dataclass, field
from typing import Any


@dataclass(frozen=True)
class Trial:
    """One point of a study.

    Attributes:
        method: what is compared.
        setting: under which condition, in words.
        seed: root seed of the run (`run.seed`): split, draw of training images, first weights, order.
        parameters: runtime parameters, nested as in `conf`.
        reads: what it is handed, by name, where trials of one seed do not all read the same images and source.
    """

    method: str
    setting: str
    seed: int
    parameters: Mapping[str, Any] = field(default_factory=dict)
    reads: str | None = None

    @property
    def handed(self) -> Hashable:
        """Under what the datasets stand that it reads: its seed, unless it has a name for them."""
        return self.seed if self.reads is None else self.reads

    def __str__(self) -> str:
        return f"{self.method}, {self.setting}, seed {self.seed}"


@dataclass(frozen=True)
class Measured:
    """One number of a trial with the ends of its 95 % interval and the number of images that it rests on."""

    metric: str
    value: float | None
    low: float | None
    high: float | None
    n: int


@dataclass(frozen=True)
class Done:
    """A trial that ended well; `seconds` is what its training cost, also what was found ready for it."""

    trial_id: str
    trial: Trial
    seconds: float
    measured: tuple[Measured, ...]

    def value_of(self, metric: str) -> float:
        """One of its numbers; NaN where it was not measured or is undefined."""
        found = next((each.value for each in self.measured if each.metric == metric), None)
        return math.nan if found is None else found


@dataclass(frozen=True)
class Failure:
    """A trial that did not end, and why, in a sentence."""

    trial_id: str
    trial: Trial
    seconds: float
    sentence: str


def to_json(done: Done) -> dict[str, Any]:
    """What is kept of a finished trial."""
    return asdict(done)


def from_json(content: Mapping[str, Any]) -> Done:
    """Read it again."""
    measured = tuple(Measured(**each) for each in content["measured"])
    return Done(content["trial_id"], Trial(**content["trial"]), content["seconds"], measured)
