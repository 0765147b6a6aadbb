"""Bootstrap intervals that draw whole groups, because images of one patient are not independent.

Groups are drawn with replacement within strata, so many as there are. Resamples are rows of weights; metrics take
all rows at once, and rows come in chunks so that memory stays bounded.

Shapes: B resamples, N images, G groups.
Source: Davison and Hinkley (1997), sections 2.4 (strata), 3.8 (clusters) and 5.2-5.3 (basic and percentile interval).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from functools import partial

import numpy as np
import numpy.typing as npt

from medical_transfer.metrics.classification import Codes, Floats, Metric
from medical_transfer.types import Interval

CHUNK_BYTES = 4 * 2**20
"""Size of one chunk of weights; a metric holds up to six arrays of this size at a time."""
MOST_UNDEFINED = 0.05
"""Where a metric is undefined in more than this share of the resamples, its interval has no ends."""

Statistic = Callable[[Floats], Floats]
"""A metric with labels and scores filled in: weights_BN -> values_B."""


def strata(labels_N: Codes, groups_N: npt.NDArray[np.generic]) -> Codes:
    """Give each image the stratum of its group: of the group's labels the one that occurs in the fewest groups.

    So a patient with one diseased slice among a hundred is a diseased patient, and neither of two classes (of more:
    the rarest) can vanish from a resample, which it could if the group's majority decided. Ties go to the lower class
    code. Returns codes (N,).
    """
    group_N = np.unique(groups_N, return_inverse=True)[1]
    holds_GC = np.zeros((group_N.max(initial=-1) + 1, labels_N.max(initial=-1) + 1), dtype=bool)
    holds_GC[group_N, labels_N] = True
    rarest_first_C = np.argsort(holds_GC.sum(axis=0), kind="stable")
    stratum_G = rarest_first_C[holds_GC[:, rarest_first_C].argmax(axis=1)]
    return np.asarray(stratum_G[group_N])


def bootstrap_counts(
    groups_N: npt.NDArray[np.generic],
    strata_N: Codes,
    resamples: int,
    rng: np.random.Generator,
    chunk_bytes: int = CHUNK_BYTES,
) -> Iterator[Floats]:
    """Yield how often each image counts in each resample: chunks (b, N) of rows, `resamples` rows in all.

    All images of a group count equally often. The rows depend on the generator's state, not on `chunk_bytes`.

    Args:
        groups_N: group of each image, any sortable type.
        strata_N: stratum of each image; a group lies in one stratum.
        resamples: rows in all.
        rng: source of the draws; it is advanced by one number per group and row.
        chunk_bytes: size of a chunk; at least one row.
    """
    _, first_G, group_N = np.unique(groups_N, return_index=True, return_inverse=True)
    by_stratum_G = np.argsort(strata_N[first_G], kind="stable")
    _, start_S, size_S = np.unique(strata_N[first_G][by_stratum_G], return_index=True, return_counts=True)
    start_G, size_G = np.repeat(start_S, size_S), np.repeat(size_S, size_S)
    place_N = np.argsort(by_stratum_G)[group_N]
    rows = max(1, chunk_bytes // (8 * max(1, groups_N.size)))
    for begin in range(0, resamples, rows):
        b = min(rows, resamples - begin)
        # Uniform numbers scaled to the stratum fill row by row, hence the chunking changes nothing.
        drawn_bG = start_G + (rng.random((b, size_G.size)) * size_G).astype(np.intp)
        drawn_bG += np.arange(b)[:, None] * size_G.size
        counts_bG = np.bincount(drawn_bG.ravel(), minlength=b * size_G.size).reshape(b, size_G.size)
        yield np.take(counts_bG.astype(float), place_N, axis=1)


def intervals(
    statistics: Mapping[str, Statistic],
    weights_chunks: Iterable[Floats],
    coverage: float = 0.95,
    noise: Mapping[str, Statistic] | None = None,
) -> dict[str, Interval]:
    """Estimate every statistic, all on the same resamples; see `interval`.

    Args:
        statistics: by name; the estimate is its value at one row of ones.
        weights_chunks: from `bootstrap_counts`.
        coverage: of the two-sided interval.
        noise: by the same names, for errors that cannot be below 0: what they would be by chance alone.
    """
    values, chance = _on_resamples([statistics, noise or {}], weights_chunks)
    return {name: _interval(values[name], coverage, chance.get(name)) for name in statistics}


def paired_intervals(
    first: Mapping[str, Statistic],
    second: Mapping[str, Statistic],
    weights_chunks: Iterable[Floats],
    coverage: float = 0.95,
    noise: tuple[Mapping[str, Statistic], Mapping[str, Statistic]] = ({}, {}),
) -> dict[str, tuple[Interval, Interval, Interval]]:
    """Estimate every statistic of two models and the second minus the first, all on the same resamples.

    Args:
        first: of the first model, by name; the second model has the same names.
        second: of the second model.
        weights_chunks: from `bootstrap_counts`.
        coverage: of the two-sided intervals.
        noise: of either model, as in `intervals`; a difference can be below 0, so its ends are percentiles.
    """
    one, other, chance, other_chance = _on_resamples([first, second, *noise], weights_chunks)
    return {
        name: (
            _interval(one[name], coverage, chance.get(name)),
            _interval(other[name], coverage, other_chance.get(name)),
            _interval(other[name] - one[name], coverage, None),
        )
        for name in first
    }


def _on_resamples(families: list[Mapping[str, Statistic]], weights_chunks: Iterable[Floats]) -> list[dict[str, Floats]]:
    """Values of each statistic of each family: first on the images as they are, then on every resample."""
    found: list[dict[str, list[Floats]]] = [{name: [] for name in family} for family in families]
    for weights_bN in weights_chunks:
        for family, values in zip(families, found, strict=True):
            for name, statistic in family.items():
                if not values[name]:
                    values[name].append(statistic(np.ones((1, weights_bN.shape[1]))))
                values[name].append(statistic(weights_bN))
    return [{name: np.concatenate(each) for name, each in values.items()} for values in found]


def interval(
    metric: Metric,
    labels_N: Codes,
    scores_NC: Floats,
    groups_N: npt.NDArray[np.generic],
    resamples: int,
    rng: np.random.Generator,
    coverage: float = 0.95,
    noise: Metric | None = None,
) -> Interval:
    """Estimate one metric with its group-clustered, stratified bootstrap interval.

    The ends are percentiles of the resamples. Not so for a calibration error (`noise` given, e.g. `ece_noise`): it
    cannot be below 0, its resamples carry the sample's noise once more, and their percentiles lie above the truth
    (for a calibrated model in every case tried). Its ends are the percentiles mirrored at the estimate, widened to
    hold it, and the low end is 0 where the estimate is within what chance alone would give.

    NaN where the metric is undefined on the images; ends are NaN where it is undefined in more than 5 % of the
    resamples; fewer such resamples are left out.
    """
    chunks = bootstrap_counts(groups_N, strata(labels_N, groups_N), resamples, rng)
    statistics: dict[str, Statistic] = {"it": partial(metric, labels_N, scores_NC)}
    by_chance: dict[str, Statistic] | None = {"it": partial(noise, labels_N, scores_NC)} if noise else None
    return intervals(statistics, chunks, coverage, by_chance)["it"]


def _interval(values: Floats, coverage: float, noise: Floats | None) -> Interval:
    """From values on the images as they are, which come first, and on the resamples."""
    estimate, values_B = float(values[0]), values[1:]
    defined_B = values_B[np.isfinite(values_B)]
    if np.isnan(estimate) or defined_B.size < (1 - MOST_UNDEFINED) * values_B.size:
        return Interval(estimate)
    tail = (1 - coverage) / 2
    low, high = (float(end) for end in np.quantile(defined_B, [tail, 1 - tail]))
    if noise is not None:
        by_chance = estimate <= float(np.quantile(noise[1:], 1 - tail))
        mirrored_low, mirrored_high = 2 * estimate - high, 2 * estimate - low
        low, high = 0.0 if by_chance else max(0.0, min(estimate, mirrored_low)), max(estimate, mirrored_high)
    return Interval(estimate, low, high)
