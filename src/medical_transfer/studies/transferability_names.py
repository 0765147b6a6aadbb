"""What the study of scores calls its metrics, baselines and side-by-side sources, and how its table is read."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from medical_transfer.config.transferability import ALWAYS

NAME = "transferability"
PROBE, LP_FT = "probe_auroc", "lp_ft_auroc"
OUTCOME_NAMES = {PROBE: "linear probe", LP_FT: "fine-tuning (LP-FT)"}
SCORE = "score/"
"""What the metric of a score begins with."""
FEATURES = "features"
"""Metric whose value is the width of the features, and whose seconds are their cost for all images of a target."""
BEST_SINGLE = "best_1"
PAIR = ("shufflenetv2_x0_5_imagenet", "shufflenetv2_x0_5_coco")
"""Two sources of one graph and one recipe that differ in what they were trained on."""
STATIC = "static_order"
"""Baseline of this study beside `ALWAYS`: the order of the sources' mean outcomes on other targets."""
OF_THE_MENU = ("parameters", "source_accuracy")
"""Scores of the menu that look at no image."""
BASELINES = (ALWAYS, STATIC, *OF_THE_MENU)


def joined_name(number: int) -> str:
    """Method name of so many sources side by side, best first by their score on the training images."""
    return BEST_SINGLE if number == 1 else f"best_{number}_side_by_side"


def order_of(results: pd.DataFrame, column: str) -> list[Any]:
    """Values of a column as they come first in the table."""
    return list(dict.fromkeys(results[column]))


def cube(
    results: pd.DataFrame, metric: str, *, targets: Sequence[str], seeds: Sequence[int], sources: Sequence[str]
) -> NDArray[np.float64]:
    """One metric as (targets, seeds, sources); NaN where the table has no value."""
    mine = results[results["metric"] == metric]
    values = {(row.setting, row.seed, row.method): row.value for row in mine.itertuples(index=False)}
    found = [[[values.get((target, seed, name), np.nan) for name in sources] for seed in seeds] for target in targets]
    return np.array(found, dtype=float).reshape(len(targets), len(seeds), len(sources))


def scores_in(results: pd.DataFrame) -> list[str]:
    """Names of the scores of a table."""
    return [name.removeprefix(SCORE) for name in order_of(results, "metric") if name.startswith(SCORE)]
