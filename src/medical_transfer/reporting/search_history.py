"""How a search went: what each setting reached, and beside it one panel for each parameter."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from matplotlib.ticker import MaxNLocator

from medical_transfer.reporting.style import (
    PALETTE,
    headline,
    key_below,
    name_axes,
    new_figure,
    note,
    plain,
    tick_names,
)

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

OWN, TRIED, BEST = PALETTE[1], PALETTE[4], PALETTE[0]
PER_ROW = 3


def search_figure(
    settings: pd.DataFrame, *, parameters: Sequence[str], logarithmic: Sequence[str], quality: str
) -> Figure:
    """Quality of the settings in their order, with the best one so far, and against each parameter.

    Args:
        settings: one row per setting in the order in which they were tried: `mean`, `own` (whether it is that of the
            configuration) and a column for each parameter.
        parameters: these columns; those that hold numbers only are drawn as numbers.
        logarithmic: of these, the ones with an even scale of their logarithm.
        quality: what `mean` is.
    """
    panels = 1 + len(parameters)
    rows = -(-panels // PER_ROW)
    figure, axes = new_figure(rows=rows, columns=min(panels, PER_ROW), width=11.5, height=3.7 * rows)
    history, *others = axes.flat
    _draw_history(history, settings, quality)
    for axis, name in zip(others, parameters, strict=False):
        _draw_parameter(axis, settings, name, logarithmic=name in logarithmic)
        name_axes(axis, y=quality)
    for axis in others[len(parameters) :]:
        axis.set_visible(False)
    if not settings.empty:
        key_below(figure)
    return figure


def _draw_history(axis: Axes, settings: pd.DataFrame, quality: str) -> None:
    headline(axis, "Best setting so far")
    name_axes(axis, x="settings, in the order tried", y=quality)
    if settings.empty:
        note(axis, "no setting ended well")
        return
    means_S, own_S = settings["mean"].to_numpy(float), settings["own"].to_numpy(bool)
    numbers_S = np.arange(1, len(means_S) + 1)
    axis.step(numbers_S, np.maximum.accumulate(means_S), where="post", color=BEST, label="best so far")
    _dots(axis, numbers_S, means_S, own_S, names=("tried", "of the configuration"))
    axis.xaxis.set_major_locator(MaxNLocator(integer=True))


def _draw_parameter(axis: Axes, settings: pd.DataFrame, name: str, *, logarithmic: bool) -> None:
    headline(axis, plain(name.rpartition(".")[2].replace("_", " ")))
    values = settings[name].tolist()
    if all(isinstance(value, int | float) and not isinstance(value, bool) for value in values):
        places_S: Any = np.asarray(values, dtype=float)
        if logarithmic:
            axis.set_xscale("log")
    else:
        words = [str(value) for value in values]
        known = sorted(set(words))
        places_S = np.asarray([known.index(word) for word in words], dtype=float)
        axis.set_xticks(range(len(known)), tick_names(known))
        axis.set_xlim(-0.5, max(len(known), 1) - 0.5)
    _dots(axis, places_S, settings["mean"].to_numpy(float), settings["own"].to_numpy(bool))


def _dots(axis: Axes, x_S: Any, y_S: Any, own_S: Any, names: tuple[str, str] = ("", "")) -> None:
    for mine_S, colour, name in ((~own_S, TRIED, names[0]), (own_S, OWN, names[1])):
        style: dict[str, Any] = {"label": name} if name else {}
        axis.scatter(x_S[mine_S], y_S[mine_S], color=colour, s=34, edgecolor="white", linewidth=0.6, zorder=3, **style)
