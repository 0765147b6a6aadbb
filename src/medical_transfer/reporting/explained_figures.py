"""The tests of explanations as pictures: maps against random weights, and curves of deletion and insertion."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from medical_transfer.reporting.explained_names import KINDS, LEVELS, METHODS, ORDERS
from medical_transfer.reporting.explained_pictures import Strip
from medical_transfer.reporting.style import (
    FAINT,
    INK,
    PALETTE,
    font_families,
    headline,
    key_below,
    name_axes,
    new_figure,
    note,
    plain,
)

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

STYLES: Final = {"map": (PALETTE[1], "-"), "random": (PALETTE[7], "--"), "other_image": (PALETTE[0], ":")}
SAME: Final = 0.5
"""Above this mean a map stays: `medical_transfer.evaluation.explanations.sanity`."""


def examples_figure(strips: Sequence[Strip], captions: Sequence[str]) -> Figure:
    """All strips, one below the other, each with its caption."""
    if not strips:
        return _empty("No image was explained")
    panels = len(strips[0].panels)
    figure, axes = new_figure(rows=len(strips), width=1.9 * panels, height=2.15 * len(strips))
    for axis, strip, caption in zip(axes[:, 0], strips, captions, strict=True):
        axis.imshow(strip.pixels)
        axis.set_axis_off()
        text = f"{plain(caption, longest=60)}   ({', '.join(strip.panels).lower()})"
        axis.set_title(text, fontsize=8, color=INK, loc="left", fontfamily=font_families())
    return figure


def sanity_figure(told: Mapping[str, Any]) -> Figure:
    """Rank correlation of maps with those of networks of random weights: mean, its interval, and the middle 80 %."""
    rows = [
        (f"{METHODS[method]}, {LEVELS[level]}", row)
        for method, facts in _working(told).items()
        for level, row in facts["sanity"].items()
        if row["mean"] is not None
    ]
    if not rows:
        return _empty("No map could be compared with those of random weights")
    figure, axes = new_figure(width=6.4, height=1.5 + 0.5 * len(rows))
    axis = axes[0, 0]
    for place, (_, row) in enumerate(rows):
        mean = row["mean"]
        axis.plot([row["low_spread"], row["high_spread"]], [place] * 2, color=PALETTE[4], linewidth=7, alpha=0.45)
        axis.plot([mean["low"], mean["high"]], [place] * 2, color=INK, linewidth=1.8)
        axis.plot(mean["estimate"], place, "o", color=INK, markersize=7)
    axis.axvline(SAME, color=PALETTE[1], linestyle="--", linewidth=1.4)
    axis.set_yticks(range(len(rows)), [name for name, _ in rows])
    axis.set_ylim(len(rows) - 0.5, -0.5)
    axis.set_xlim(-1, 1.02)
    headline(axis, "Do the maps change with the weights?")
    name_axes(axis, x="rank correlation with the trained network's maps (1: no change)")
    return figure


def curves_figure(told: Mapping[str, Any]) -> Figure:
    """Mean probability of the decided class as pixels go and come, one row for each method."""
    working = _working(told)
    if not working:
        return _empty("There is no map by which pixels could be deleted")
    figure, axes = new_figure(rows=len(working), columns=2, width=8.4, height=0.6 + 3 * len(working), sharey=True)
    for row, (method, facts) in enumerate(working.items()):
        for axis, kind in zip(axes[row], KINDS, strict=True):
            _curves(axis, facts["rivals"][kind]["curves"], named=row == 0 and kind == "deletion")
            headline(axis, f"{METHODS[method]}. {KINDS[kind]}")
            gone = "taken away" if kind == "deletion" else "put back"
            name_axes(axis, x=f"share of pixels {gone}", y="probability" if kind == "deletion" else "")
    key_below(figure, columns=3)
    return figure


def _curves(axis: Axes, curves: Mapping[str, Sequence[float]], *, named: bool) -> None:
    for who, values_K in curves.items():
        colour, dashes = STYLES[who]
        shares_K = np.linspace(0, 1, len(values_K))
        label = ORDERS[who] if named else None
        axis.plot(shares_K, values_K, color=colour, linestyle=dashes, linewidth=2, label=label)
    axis.set_xlim(0, 1)
    axis.set_ylim(0, 1.02)


def _working(told: Mapping[str, Any]) -> dict[str, Any]:
    return {name: facts for name, facts in told["methods"].items() if facts["reason"] is None}


def _empty(text: str) -> Figure:
    figure, axes = new_figure(width=6, height=1.2)
    axes[0, 0].set_axis_off()
    note(axes[0, 0], text)
    axes[0, 0].texts[-1].set_color(FAINT)
    return figure
