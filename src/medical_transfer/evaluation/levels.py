"""Columns of a table as levels: which of them divide the images, and where numbers are cut."""

from __future__ import annotations

import re
from collections.abc import Sequence
from itertools import pairwise

import numpy as np
import pandas as pd

from medical_transfer.config.evaluation import Evaluation
from medical_transfer.types import AUDIT_COLUMNS

NOT_GIVEN = "not given"
NO_COLUMNS = (*AUDIT_COLUMNS, "slot")


def own_columns(manifest: pd.DataFrame) -> list[str]:
    """What the user's table says of each image beyond the columns that the project knows, and `site` before it."""
    return ["site", *(name for name in manifest.columns if name not in NO_COLUMNS)]


def divisions(
    manifest: pd.DataFrame, wanted: Sequence[str], config: Evaluation
) -> tuple[dict[str, pd.Series[str]], dict[str, str]]:
    """The level of each row under each column that divides the images, and why other columns do not.

    Text of few values is taken as it is, an age is cut at `age_bands`, other numbers of many values at their quartiles;
    a missing value is the level 'not given'.
    """
    found: dict[str, pd.Series[str]] = {}
    left_out: dict[str, str] = {}
    for column in wanted:
        if column not in manifest.columns:
            left_out[column] = "no such column"
            continue
        levels = _levels(manifest[column], column, config)
        given = levels[levels != NOT_GIVEN].nunique()
        if given > config.most_levels:
            left_out[column] = f"{given} different values, more than {config.most_levels}"
        elif levels.nunique() < 2:
            left_out[column] = "the same for all images" if given else "not given for any image"
        else:
            found[column] = levels
    return found, left_out


def _levels(values: pd.Series, column: str, config: Evaluation) -> pd.Series[str]:
    numbers = pd.to_numeric(values, errors="coerce")
    all_numbers = values.notna().any() and bool(numbers.notna().eq(values.notna()).all())
    if all_numbers and not pd.api.types.is_bool_dtype(values):
        if re.search(r"(?:^|_)age(?:$|_)", column.lower()):
            return _bands(numbers, config.age_bands)
        if values.nunique() > config.most_levels:
            return _bands(numbers, np.unique(numbers.quantile([0.25, 0.5, 0.75])).tolist())
    words = values.astype("string").str.strip()
    return words.where(words.notna() & (words != ""), NOT_GIVEN).astype(object)


def _bands(numbers: pd.Series, borders: Sequence[float]) -> pd.Series[str]:
    borders = sorted(set(borders))
    names = [f"below {borders[0]:g}"]
    names += [f"{low:g} to below {high:g}" for low, high in pairwise(borders)]
    names.append(f"{borders[-1]:g} and above")
    places_N = np.searchsorted(borders, numbers.to_numpy(dtype=float, na_value=np.nan), side="right")
    told = pd.Series(np.array(names, dtype=object)[np.minimum(places_N, len(borders))], index=numbers.index)
    return told.where(numbers.notna(), NOT_GIVEN)
