"""Two sites side by side: their images on a plane, and each distance beside what permuted labels give."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Final

import numpy as np
from matplotlib.ticker import MaxNLocator

from medical_transfer.reporting.style import (
    INK,
    PALETTE,
    headline,
    key_below,
    name_axes,
    new_figure,
    note,
    plain,
    tick_names,
)
from medical_transfer.reporting.units import count_text, missing, value_text

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

DISTANCE_NAMES: Final = {
    "mmd": "MMD², unbiased",
    "frechet": "Frechet distance",
    "a_distance": "A-distance (2: never confused)",
}
COLOURS: Final = {"source": PALETTE[0], "target": PALETTE[1]}
ALL_IMAGES: Final = "all images"


def domain_figure(told: Mapping[str, Any], places: pd.DataFrame) -> Figure:
    """A plane of both domains, and one panel for each distance.

    Args:
        told: the content of `domain_distance.json`.
        places: one row per image: `domain`, `site`, `first`, `second`.
    """
    rows = {ALL_IMAGES: told["overall"]["distances"]}
    rows |= {label: each["distances"] for label, each in told["per_class"].items() if each["distances"]}
    names = [name for name in DISTANCE_NAMES if name in rows[ALL_IMAGES]]
    widths = [1.35, *[1.0] * len(names)]
    figure, axes = new_figure(
        columns=len(widths), width=4.2 * sum(widths), height=max(3.8, 1.8 + 0.5 * len(rows)), width_ratios=widths
    )
    plane, *panels = axes[0]
    _draw_plane(plane, places)
    for axis, name in zip(panels, names, strict=True):
        _draw_distance(axis, {label: each[name] for label, each in rows.items()}, name)
    panels[0].set_yticks(range(len(rows)), tick_names(list(rows), longest=18))
    for axis in panels[1:]:
        axis.set_yticks(range(len(rows)), [""] * len(rows))
    key_below(figure, columns=4)
    return figure


def _draw_plane(axis: Axes, places: pd.DataFrame) -> None:
    headline(axis, "Both sites, principal components")
    name_axes(axis, x="first", y="second")
    order = np.random.default_rng(0).permutation(len(places))  # so that neither site lies on top of the other
    colours = places["domain"].map(COLOURS).to_numpy()
    axis.scatter(
        places["first"].to_numpy()[order], places["second"].to_numpy()[order], c=colours[order], s=9, alpha=0.55, lw=0
    )
    for domain, word in (("source", "first site"), ("target", "second site")):
        mine = places[places["domain"] == domain]
        sites = ", ".join(sorted(mine["site"].dropna().unique()))
        label = f"{word}{f' ({plain(sites, longest=24)})' if sites else ''}: {count_text(len(mine))} images"
        axis.scatter([], [], color=COLOURS[domain], s=24, label=label)


def _draw_distance(axis: Axes, values: Mapping[str, Mapping[str, Any]], name: str) -> None:
    headline(axis, DISTANCE_NAMES[name])
    axis.set_ylim(len(values) - 0.4, -0.6)
    axis.grid(visible=False, axis="y")
    if all(missing(each["value"]) for each in values.values()):
        note(axis, str(next(iter(values.values()))["reason"]))
        return
    for row, each in enumerate(values.values()):
        if missing(each["value"]):
            continue
        first = row == 0 and name == next(iter(DISTANCE_NAMES))
        axis.plot(
            [each["null_low"], each["null_high"]],
            [row, row],
            color="#B4BDC6",
            linewidth=7,
            solid_capstyle="butt",
            label="9 in 10 permuted labels" if first else None,
        )
        axis.plot([each["value"]], [row], "o", color=INK, markersize=8, label="distance" if first else None)
        text = f"{value_text(each['value'])}, p {each['p_value']:.2g}"
        place: dict[str, Any] = {"xytext": (0, 9), "textcoords": "offset points", "ha": "center", "fontsize": 9}
        axis.annotate(text, (each["value"], row), color=INK, **place)
    axis.margins(x=0.25)
    axis.xaxis.set_major_locator(MaxNLocator(nbins=4))
