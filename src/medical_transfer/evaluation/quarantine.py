"""Were bad files bad by chance, or do they come from one class, one site or one device?

What is left out is no random part of the patients then, and the numbers are those of the others. Association of each
column with being quarantined: Fisher's exact test for two levels, for more a chi-square test whose p-value comes from
permutations of the files (expected counts are small: bad files are few); adjusted over columns as in Holm (1979).
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import PurePosixPath
from typing import TypedDict

import numpy as np
import pandas as pd

from medical_transfer.config.evaluation import Evaluation
from medical_transfer.evaluation.levels import NOT_GIVEN, divisions
from medical_transfer.runtime.seeds import generator

ALARM = 0.05
PERMUTATIONS = 1999


class Association(TypedDict):
    """How being quarantined hangs on one column: files and bad files of each level, and the adjusted p-value."""

    column: str
    files: dict[str, int]
    quarantined: dict[str, int]
    p: float
    alarm: bool


def quarantine_bias(manifest: pd.DataFrame, columns: Sequence[str], config: Evaluation, seed: int) -> list[Association]:
    """Test the class, the file's ending, the site and the table's own columns against being quarantined.

    Rows whose value is not given are left out of a column's test: a file without a label is bad for that alone.

    Returns:
        One entry per column with two levels or more, the strongest first; nothing where no file is quarantined.
    """
    bad_N = (manifest["status"] == "quarantined").to_numpy(dtype=bool)
    if not bad_N.any() or bad_N.all():
        return []
    endings = manifest["path"].map(lambda path: PurePosixPath(str(path)).suffix.lower() or "none")
    asked = manifest.assign(ending=endings)
    levels, _ = divisions(asked, ["label", "ending", *columns], config)
    found = [each for name, of_rows in levels.items() if (each := _association(name, of_rows, bad_N, seed)) is not None]
    found.sort(key=lambda each: each["p"])
    highest = 0.0
    for rank, each in enumerate(found):
        highest = max(highest, min(1.0, each["p"] * (len(found) - rank)))
        each["p"], each["alarm"] = highest, highest < ALARM
    return found


def _association(column: str, levels: pd.Series[str], bad_N: np.ndarray, seed: int) -> Association | None:
    given_N = (levels != NOT_GIVEN).to_numpy(dtype=bool)
    counts = pd.crosstab(levels[given_N].to_numpy(), bad_N[given_N])
    if counts.shape[0] < 2 or counts.shape[1] < 2:
        return None
    return Association(
        column=column,
        files={str(level): int(count) for level, count in counts.sum(axis=1).items()},
        quarantined={str(level): int(count) for level, count in counts[True].items()},
        p=_p_value(counts.to_numpy(), seed, column),
        alarm=False,
    )


def _p_value(counts_L2: np.ndarray, seed: int, column: str) -> float:
    from scipy.stats import fisher_exact  # noqa: PLC0415 - half a second that only this test should pay

    if counts_L2.shape[0] == 2:
        return float(fisher_exact(counts_L2).pvalue)
    total_L, bad = counts_L2.sum(axis=1), int(counts_L2[:, 1].sum())
    rng = generator(seed, f"quarantine/{column}")
    drawn_PL = rng.multivariate_hypergeometric(total_L, bad, size=PERMUTATIONS)
    found = _chi_square(counts_L2[:, 1], total_L, bad)
    beyond = int((_chi_square(drawn_PL, total_L, bad) >= found - 1e-9).sum())
    return (1 + beyond) / (1 + PERMUTATIONS)


def _chi_square(bad_PL: np.ndarray, total_L: np.ndarray, bad: int) -> np.ndarray:
    expected_L = total_L * bad / total_L.sum()
    good_L = total_L - expected_L
    return np.asarray(((bad_PL - expected_L) ** 2 * (1 / expected_L + 1 / good_L)).sum(axis=-1))
