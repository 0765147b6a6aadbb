"""Counts and scores as pictures: confusion matrices, the ranking of sources, what each split holds."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from matplotlib.ticker import MaxNLocator

from medical_transfer.reporting.style import (
    FAINT,
    INK,
    PALETTE,
    headline,
    key,
    name_axes,
    new_figure,
    note,
    plain,
    split_name,
    tick_names,
)
from medical_transfer.reporting.units import count_text, score_name

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_TOO_MANY_TO_WRITE = 14


def confusion_figure(matrices: Mapping[str, Any], *, classes: Sequence[str]) -> Figure:
    """Confusion matrices side by side, each cell with its count and its share of the row.

    Args:
        matrices: split name -> (C, C) counts, rows the true class, columns the decision.
        classes: C names.
    """
    side = max(3.6, 1.0 + 0.85 * min(len(classes), _TOO_MANY_TO_WRITE))
    figure, axes = new_figure(
        columns=max(len(matrices), 1), width=(side + 0.7) * max(len(matrices), 1), height=side + 0.4
    )
    for axis, (split, matrix) in zip(axes[0], matrices.items(), strict=False):
        counts_CC = np.asarray(matrix, dtype=int)
        total_C = counts_CC.sum(axis=1, keepdims=True)
        shares_CC = np.divide(counts_CC, total_C, out=np.full(counts_CC.shape, np.nan), where=total_C > 0)
        axis.imshow(np.nan_to_num(shares_CC), cmap="Blues", vmin=0, vmax=1.15)
        if len(classes) <= _TOO_MANY_TO_WRITE:
            _write_cells(axis, counts_CC, shares_CC)
        names = tick_names(classes, longest=14)
        axis.set_xticks(range(len(names)), names, rotation=0 if len(names) <= 3 else 35)
        axis.set_yticks(range(len(names)), names)
        axis.grid(visible=False)
        headline(axis, f"{split_name(split).capitalize()}: {count_text(int(counts_CC.sum()))} images")
        name_axes(axis, x="decided", y="true class")
    return figure


def _write_cells(axis: Axes, counts_CC: np.ndarray, shares_CC: np.ndarray) -> None:
    for (row, column), count in np.ndenumerate(counts_CC):
        share = shares_CC[row, column]
        text = f"{count}\n–" if np.isnan(share) else f"{count}\n{100 * share:.1f} %"
        colour = "white" if share > 0.55 else INK
        size = 11 if len(counts_CC) <= 4 else 8
        axis.text(column, row, text, ha="center", va="center", color=colour, fontsize=size)


def ranking_figure(transferability: Mapping[str, Any]) -> Figure:
    """Every score of every source, one panel per score, best on top; the chosen source is dark.

    Args:
        transferability: the content of `transferability.json`: `sources`, `ranking`, `chosen`.
    """
    sources = transferability["sources"]
    scores = list(dict.fromkeys(score for source in sources for score in source["scores"]))
    columns = min(max(len(scores), 1), 3)
    rows = max(1, -(-len(scores) // columns))
    height = rows * (1.1 + 0.34 * len(sources))
    figure, axes = new_figure(rows=rows, columns=columns, width=4.1 * columns, height=max(height, 2.4))
    for axis, score in zip(axes.flat, scores, strict=False):
        order = _order(sources, transferability.get("ranking", {}).get(score), score)
        _score_panel(axis, order, score, transferability.get("chosen"))
    for axis in axes.flat[len(scores) :]:
        axis.set_axis_off()
    if not scores:
        note(axes[0, 0], "no source was scored")
    return figure


def _order(sources: Sequence[Mapping[str, Any]], ranking: Sequence[str] | None, score: str) -> list[Mapping[str, Any]]:
    """Sources with a value first, as ranked; those without a value last."""
    place = {name: number for number, name in enumerate(ranking or [])}
    valued = [source for source in sources if _value(source, score) is not None]
    rest = [source for source in sources if _value(source, score) is None]
    return sorted(valued, key=lambda source: place.get(source["name"], len(place))) + rest


def _value(source: Mapping[str, Any], score: str) -> float | None:
    value = (source["scores"].get(score) or {}).get("value")
    return None if value is None or not np.isfinite(value) else float(value)


def _score_panel(axis: Axes, order: Sequence[Mapping[str, Any]], score: str, chosen: str | None) -> None:
    """Dots, not bars: good sources differ in the third digit, which a bar from zero would hide."""
    values = [_value(source, score) for source in order]
    known = [value for value in values if value is not None]
    left = min(known, default=0.0)
    for row, (source, value) in enumerate(zip(order, values, strict=True)):
        if value is None:
            axis.text(left, row, "not defined", va="center", ha="left", fontsize=9, color=FAINT)
            continue
        colour = PALETTE[0] if source["name"] == chosen else "#8DB9DA"
        axis.plot([value], [row], "o", color=colour, markersize=9)
        place: dict[str, Any] = {"xytext": (9, 0), "textcoords": "offset points", "va": "center", "fontsize": 9}
        axis.annotate(_short(value), (value, row), color=INK, **place)
    axis.set_yticks(range(len(order)), tick_names([source["name"] for source in order]))
    axis.set_ylim(len(order) - 0.5, -0.5)
    spread = max(known, default=1.0) - left or abs(left) or 1.0
    axis.set_xlim(left - 0.08 * spread, left + 1.38 * spread)
    axis.xaxis.set_major_locator(MaxNLocator(nbins=3))
    axis.xaxis.set_major_formatter(lambda value, _: _short(value))
    headline(axis, score_name(score))


def _short(value: float) -> str:
    """Few signs, so that a label stays in its panel: millions, and two digits of what takes a power of ten to write."""
    if abs(value) >= 1e5:
        return f"{value / 1e6:.3g} M"
    return f"{value:.2g}" if abs(value) < 1e-4 else f"{value:.4g}"


def split_figure(leakage: Mapping[str, Any]) -> Figure:
    """Images of each class in each split, as stacked bars with their counts.

    Args:
        leakage: the leakage report, of which `splits` is read: split -> `images, groups, classes`.
    """
    splits = leakage["splits"]
    classes = list(dict.fromkeys(name for split in splits.values() for name in split["classes"]))
    figure, axes = new_figure(width=8.0, height=1.7 + 0.55 * len(splits))
    axis = axes[0, 0]
    rows, left = np.arange(len(splits)), np.zeros(len(splits))
    most = max((split["images"] for split in splits.values()), default=1)
    for number, name in enumerate(classes):
        counts = np.array([split["classes"].get(name, 0) for split in splits.values()])
        colour = PALETTE[number % len(PALETTE)]
        axis.barh(rows, counts, left=left, color=colour, height=0.62, label=plain(name, longest=24), edgecolor="white")
        for row, count in enumerate(counts):
            if count > 0.035 * most:
                axis.text(left[row] + count / 2, row, str(count), ha="center", va="center", color="white", fontsize=9)
        left += counts
    names = [f"{split_name(split)}\n{count_text(value['groups'])} groups" for split, value in splits.items()]
    axis.set_yticks(rows, names)
    axis.invert_yaxis()
    axis.grid(visible=False, axis="y")
    headline(axis, "Images of each class in each split")
    name_axes(axis, x="images")
    key(axis, loc="upper left", bbox_to_anchor=(1.0, 1.0))
    return figure
