"""What the seeds of a study allow to say: means and paired differences with t intervals, and which method to take.

Shapes: S seeds.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy import stats

from medical_transfer.types import Interval

COVERAGE = 0.95
LEAST_SEEDS = 3
"""With fewer seeds in common nothing is claimed: two differences that are equal by chance have no spread."""


@dataclass(frozen=True)
class Comparison:
    """A method against the best one in a setting.

    Attributes:
        method: what is compared.
        mean: what methods are ranked by: over the seeds that all have, where these are enough, else over its own.
        below: how far it is below the best one, over the seeds that both have; NaN ends where there is one seed.
        seeds: how many seeds both have.
        seconds: mean cost.
    """

    method: str
    mean: float
    below: Interval
    seeds: int
    seconds: float

    @property
    def shown_worse(self) -> bool:
        """Whether the interval excludes 'no difference'; differences without any spread show nothing."""
        return self.seeds >= LEAST_SEEDS and 0 < self.below.low < self.below.high


@dataclass(frozen=True)
class Choice:
    """Which method to take in a setting: the cheapest that is not shown to be worse than the best.

    A method with too few seeds in common with the best one could never be shown to be worse, so it is not taken, unless
    no method has enough.

    Attributes:
        setting: where.
        best: the method of the highest mean among those with enough seeds.
        taken: the method to take.
        compared: all methods, best first, those with too few seeds last.
    """

    setting: str
    best: str
    taken: str
    compared: tuple[Comparison, ...]

    @property
    def worse(self) -> list[str]:
        """Methods that are shown to be worse than the best one."""
        return [each.method for each in self.compared if each.shown_worse]

    @property
    def decidable(self) -> bool:
        """Whether there are enough seeds to compare anything."""
        return any(each.seeds >= LEAST_SEEDS for each in self.compared if each.method != self.best)


def t_interval(values_S: NDArray[np.float64] | Sequence[float], coverage: float = COVERAGE) -> Interval:
    """Mean of S values with Student's interval: mean +- t_(S-1) s / sqrt(S); NaN ends for fewer than two values."""
    values = np.asarray(values_S, dtype=float)
    if values.size == 0:
        return Interval(math.nan)
    mean = float(values.mean())
    if values.size < 2:
        return Interval(mean)
    quantile = float(stats.t.ppf((1 + coverage) / 2, values.size - 1))
    half = quantile * float(values.std(ddof=1)) / math.sqrt(values.size)
    return Interval(mean, mean - half, mean + half)


def paired_difference(better: pd.Series, worse: pd.Series, comparisons: int = 1) -> tuple[Interval, int]:
    """Mean difference over the seeds that both have, and their number.

    Args:
        better: values by seed.
        worse: likewise.
        comparisons: how many such intervals are read together: each is widened so that all hold at once with 95 %
            (Bonferroni).
    """
    differences = (better - worse).dropna()
    return t_interval(differences.to_numpy(float), 1 - (1 - COVERAGE) / max(comparisons, 1)), len(differences)


def averages(values: pd.DataFrame, least: float = 0.0, most: float = 1.0) -> pd.DataFrame:
    """Mean over seeds with its 95 % t interval: `method, setting, mean, low, high, seeds, seconds`.

    Args:
        values: `method, setting, seed, value, seconds`.
        least: intervals are cut here, since the metric cannot be below.
        most: likewise, above.
    """
    rows = []
    for (method, setting), mine in values.groupby(["method", "setting"], sort=False):
        found = t_interval(mine["value"].to_numpy(float))
        ends = (found.low, found.high)
        rows.append((method, setting, found.estimate, *np.clip(ends, least, most), len(mine), mine["seconds"].mean()))
    return pd.DataFrame(rows, columns=["method", "setting", "mean", "low", "high", "seeds", "seconds"])


def choose(values: pd.DataFrame, settings: Sequence[str], cost: Mapping[str, float] | None = None) -> list[Choice]:
    """Which method to take in each setting that has values; higher values are better.

    Args:
        values: `method, setting, seed, value, seconds`.
        settings: in the order in which they are told.
        cost: of each method; None: its mean seconds over all settings.
    """
    by_method = values.groupby("method")["seconds"].mean().to_dict()
    costs = cost or {str(name): float(seconds) for name, seconds in by_method.items()}
    return [
        _choose_in(setting, mine, costs)
        for setting in settings
        if not (mine := values[values["setting"] == setting]).empty
    ]


def _choose_in(setting: str, mine: pd.DataFrame, costs: Mapping[str, float]) -> Choice:
    by_seed = mine.pivot_table(index="seed", columns="method", values="value", sort=False)
    means = _ranked(by_seed)
    best = str(means.index[0])
    # The best is chosen by the same numbers: any of the pairs could have become one of the comparisons.
    pairs = math.comb(len(means), 2)
    seconds = mine.groupby("method")["seconds"].mean().to_dict()
    compared = []
    for method, mean in means.items():
        below, seeds = paired_difference(by_seed[best], by_seed[method], pairs)
        compared.append(Comparison(str(method), float(mean), below, seeds, float(seconds[method])))
    enough = [each for each in compared if each.seeds >= LEAST_SEEDS] or compared
    candidates = [each.method for each in enough if not each.shown_worse]
    return Choice(setting, best, min(candidates, key=costs.__getitem__), tuple(compared))


def _ranked(by_seed: pd.DataFrame) -> pd.Series:
    """Means of the methods (columns), best first; those with too few seeds last.

    Seeds differ in how hard their test images are, so methods are ranked over the seeds that all of them have.
    """
    enough = by_seed.count() >= LEAST_SEEDS
    parts = list[pd.Series]()
    for part in (by_seed.loc[:, enough], by_seed.loc[:, ~enough]):
        shared = part.dropna()
        means = (shared if len(shared) >= LEAST_SEEDS else part).mean()
        parts.append(means.sort_values(ascending=False, kind="stable"))
    ranked: pd.Series = pd.concat([part for part in parts if not part.empty])
    return ranked
