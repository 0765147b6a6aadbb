"""Quality and cost of several methods in growing settings: one panel per method, bands over seeds."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from medical_transfer.reporting.style import (
    DASHES,
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


BEHIND = "#C3CAD1"
COLUMNS = 3


def learning_curves_figure(
    averages: pd.DataFrame, *, settings: Sequence[str], names: Mapping[str, str], quality: str, setting: str
) -> Figure:
    """Quality and seconds of every method in every setting.

    Each method has a panel of its own, since bands of several would hide each other: its mean and band in colour, the
    means of the others in grey behind it. The last panel holds what all of them cost.

    Args:
        averages: `method, setting, mean, low, high, seconds`; where an end of the interval is NaN there is no band.
        settings: in the order of the horizontal axis, evenly spaced.
        names: method -> what it is called; in this order and colour.
        quality: name of the vertical axis.
        setting: name of the horizontal axis.
    """
    rows = -(-(len(names) + 1) // COLUMNS)
    figure, axes = new_figure(rows=rows, columns=COLUMNS, width=12.5, height=0.6 + 3.1 * rows)
    *panels, costs = axes.flat[: len(names) + 1]
    by_method = {method: _in_order(averages, method, settings) for method in names}
    for number, (method, axis) in enumerate(zip(names, panels, strict=True)):
        style: dict[str, Any] = {"color": PALETTE[number % len(PALETTE)], "linestyle": DASHES[number % len(DASHES)]}
        _draw(axis, by_method, method, style)
        seconds = by_method[method]["seconds"].to_numpy(float)
        costs.plot(np.arange(len(settings)), seconds, "o", markersize=4.5, label=plain(names[method]), **style)
        headline(axis, plain(names[method]))
        name_axes(axis, x=setting, y=quality if number % COLUMNS == 0 else "")
        axis.sharey(panels[0])
    for axis in axes.flat[len(names) + 1 :]:
        axis.set_visible(False)
    for axis in (*panels, costs):
        axis.set_xticks(range(len(settings)), tick_names(list(settings)))
        axis.set_xlim(-0.3, len(settings) - 0.7)
    name_axes(costs, x=setting, y="seconds (log scale)")
    _finish_costs(costs, empty=averages.empty)
    key_below(figure, title="Lines: means over seeds; bands: their 95 % intervals; grey: the other methods", columns=3)
    return figure


def _in_order(averages: pd.DataFrame, method: str, settings: Sequence[str]) -> pd.DataFrame:
    return averages[averages["method"] == method].set_index("setting").reindex(list(settings))


def _draw(axis: Axes, by_method: Mapping[str, pd.DataFrame], method: str, style: Mapping[str, Any]) -> None:
    """The means of all methods, those of one in colour, and its band where there are intervals."""
    mine = by_method[method]
    places = np.arange(len(mine))
    for other, theirs in by_method.items():
        if other != method:
            axis.plot(places, theirs["mean"].to_numpy(float), color=BEHIND, linewidth=1)
    axis.plot(places, mine["mean"].to_numpy(float), marker="o", markersize=4.5, **style)
    low, high = mine["low"].to_numpy(float), mine["high"].to_numpy(float)
    axis.fill_between(places, low, high, color=style["color"], alpha=0.15, linewidth=0)


def _finish_costs(costs: Axes, *, empty: bool) -> None:
    """Seconds span orders of magnitude."""
    headline(costs, "Seconds of training")
    if empty:
        note(costs, "no trial ended well")
        return
    costs.set_yscale("log")
    costs.yaxis.set_major_formatter(lambda value, _: f"{value:g}")
    costs.yaxis.set_minor_formatter(lambda value, _: f"{value:g}" if f"{value:g}"[0] in "25" else "")
