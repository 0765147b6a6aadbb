"""How a student's quality depends on temperature and weight: a heat map for each metric."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

import numpy as np
from matplotlib.patches import Rectangle

from medical_transfer.reporting.style import FAINT, INK, PALETTE, headline, name_axes, new_figure
from medical_transfer.reporting.units import metric_name

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

LOWER_IS_BETTER = ("ece",)


def distillation_figure(
    means: Mapping[str, pd.Series],
    *,
    settings: Mapping[str, tuple[float, float]],
    marked: str | None,
    controls: tuple[str, str],
) -> Figure:
    """Temperature x weight for each metric, a mean over seeds in each cell; darker is better.

    Args:
        means: metric -> mean by setting, and by the names of the controls.
        settings: name -> temperature and weight.
        marked: the setting that is framed.
        controls: names of the student alone and of the teacher, told above each map.
    """
    figure, axes = new_figure(columns=len(means), width=1.2 + 3.6 * len(means), height=4.2)
    temperatures, weights = (sorted({pair[place] for pair in settings.values()}) for place in (0, 1))
    for number, (metric, of_setting) in enumerate(means.items()):
        axis = axes[0, number]
        values_TW = np.full((len(temperatures), len(weights)), np.nan)
        for name, (temperature, weight) in settings.items():
            place = temperatures.index(temperature), weights.index(weight)
            values_TW[place] = of_setting.get(name, np.nan)
            if name == marked:
                _frame(axis, *place)
        _map(axis, values_TW, lower_is_better=metric in LOWER_IS_BETTER)
        axis.set_xticks(range(len(weights)), [f"{weight:g}" for weight in weights])
        axis.set_yticks(range(len(temperatures)), [f"{temperature:g}" for temperature in temperatures])
        name_axes(axis, x="weight of the teacher's part", y="temperature" if number == 0 else "")
        alone, teacher = (_number(of_setting.get(name, np.nan)) for name in controls)
        headline(axis, f"Test {metric_name(metric)}\nalone {alone}, teacher {teacher}")
    return figure


def _map(axis: Axes, values_TW: np.ndarray, *, lower_is_better: bool) -> None:
    known = values_TW[np.isfinite(values_TW)]
    least, most = (known.min(), known.max()) if known.size else (0.0, 0.0)
    share_TW = (values_TW - least) / ((most - least) or 1.0)
    if lower_is_better:
        share_TW = 1 - share_TW
    axis.imshow(np.ma.masked_invalid(share_TW), cmap="Blues", vmin=-0.05, vmax=1.25, aspect="auto")
    axis.grid(visible=False)
    for (row, column), value in np.ndenumerate(values_TW):
        colour = FAINT if np.isnan(value) else ("white" if share_TW[row, column] > 0.7 else INK)
        axis.text(column, row, _number(value), ha="center", va="center", color=colour, fontsize=9)


def _frame(axis: Axes, row: int, column: int) -> None:
    axis.add_patch(Rectangle((column - 0.47, row - 0.47), 0.94, 0.94, fill=False, edgecolor=PALETTE[1], linewidth=2.2))


def _number(value: float) -> str:
    return "–" if np.isnan(value) else f"{value:.3f}"
