"""Quality and cost of several methods in growing settings: one line per method, bands over seeds."""

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


def learning_curves_figure(
    averages: pd.DataFrame, *, settings: Sequence[str], names: Mapping[str, str], quality: str, setting: str
) -> Figure:
    """Quality and seconds of every method in every setting.

    Args:
        averages: `method, setting, mean, low, high, seconds`; where an end of the interval is NaN there is no band.
        settings: in the order of the horizontal axis, evenly spaced.
        names: method -> what it is called; in this order and colour.
        quality: name of the vertical axis.
        setting: name of the horizontal axis.
    """
    figure, axes = new_figure(columns=2, width=11.5, height=4.9, width_ratios=[1.25, 1])
    left, right = axes[0]
    for number, (method, name) in enumerate(names.items()):
        mine = averages[averages["method"] == method].set_index("setting").reindex(list(settings))
        style: dict[str, Any] = {"color": PALETTE[number % len(PALETTE)], "linestyle": DASHES[number % len(DASHES)]}
        _draw(left, mine, plain(name), style)
        right.plot(np.arange(len(settings)), mine["seconds"].to_numpy(float), "o", markersize=4.5, **style)
    if averages.empty:
        note(left, "no trial ended well")
    else:
        right.set_yscale("log")
        right.yaxis.set_major_formatter(lambda value, _: f"{value:g}")
        right.yaxis.set_minor_formatter(lambda value, _: f"{value:g}" if f"{value:g}"[0] in "25" else "")
    for axis in (left, right):
        axis.set_xticks(range(len(settings)), tick_names(list(settings)))
        axis.set_xlim(-0.3, len(settings) - 0.7)
    headline(left, f"{quality[:1].upper()}{quality[1:]}, mean over seeds with 95 % intervals")
    headline(right, "Seconds of training")
    name_axes(left, x=setting, y=quality)
    name_axes(right, x=setting, y="seconds (log scale)")
    key_below(figure)
    return figure


def _draw(axis: Axes, mine: pd.DataFrame, name: str, style: Mapping[str, Any]) -> None:
    """A line through the means, and a band where there are intervals."""
    places = np.arange(len(mine))
    axis.plot(places, mine["mean"].to_numpy(float), marker="o", markersize=4.5, label=name, **style)
    low, high = mine["low"].to_numpy(float), mine["high"].to_numpy(float)
    axis.fill_between(places, low, high, color=style["color"], alpha=0.12, linewidth=0)
