"""How figures look: one palette that survives colour blindness, readable sizes, a light background, harmless text."""

from __future__ import annotations

import unicodedata
from collections.abc import Sequence
from functools import cache
from typing import TYPE_CHECKING, Any, Final

import matplotlib as mpl
import numpy as np
from matplotlib import font_manager
from matplotlib.figure import Figure
from matplotlib.layout_engine import ConstrainedLayoutEngine

if TYPE_CHECKING:
    from matplotlib.axes import Axes

PALETTE: Final = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#56B4E9", "#E69F00", "#8A6FDF", "#6B6B6B")
"""Okabe and Ito (2008), without the yellow that vanishes on white; colours are told apart by lightness too."""
DASHES: Final = ("-", "--", "-.", ":")
SPLIT_COLOURS: Final = {"train": "#009E73", "val": "#D55E00", "test": "#0072B2", "excluded": "#9A9A9A"}
SPLIT_NAMES: Final = {"train": "training", "val": "validation", "test": "test", "excluded": "excluded"}
DOTS_PER_INCH: Final = 144
INK, FAINT, GRID = "#1F2933", "#66727F", "#E3E8ED"

_SCRIPTS = ("DejaVu Sans", "Noto Sans", "Noto Sans CJK SC", "Noto Sans CJK JP", "Arial Unicode MS", "Microsoft YaHei")


@cache
def font_families() -> list[str]:
    """The installed fonts to look a letter up in, one after the other (class names come in every script)."""
    installed = {font.name for font in font_manager.fontManager.ttflist}
    return [name for name in _SCRIPTS if name in installed]


def new_figure(
    *, rows: int = 1, columns: int = 1, width: float, height: float, **grid: Any
) -> tuple[Figure, np.ndarray]:
    """An empty figure of `width` x `height` inches and its (rows, columns) array of styled axes."""
    with mpl.rc_context({"font.family": font_families(), "font.size": 10.5}):
        figure = Figure(figsize=(width, height), layout=ConstrainedLayoutEngine(h_pad=0.09), facecolor="white")
        axes = figure.subplots(rows, columns, squeeze=False, **grid)
    for axis in axes.flat:
        _restyle(axis)
    return figure, axes


def _restyle(axis: Axes) -> None:
    axis.spines[["top", "right"]].set_visible(False)
    axis.spines[["left", "bottom"]].set_color("#B4BDC6")
    axis.tick_params(colors=INK, labelsize=9.5, length=3, color="#B4BDC6", labelfontfamily=font_families())
    axis.grid(visible=True, color=GRID, linewidth=0.8)
    axis.set_axisbelow(True)


def headline(axis: Axes, text: str) -> None:
    """A left-aligned title that says what is seen."""
    axis.set_title(text, loc="left", fontsize=11.5, fontweight="bold", color=INK, fontfamily=font_families())


def name_axes(axis: Axes, *, x: str = "", y: str = "") -> None:
    """Label both axes (with their units)."""
    axis.set_xlabel(x, color=INK, fontsize=10, fontfamily=font_families())
    axis.set_ylabel(y, color=INK, fontsize=10, fontfamily=font_families())


def key(axis: Axes, **place: Any) -> None:
    """A legend without a box that hides data."""
    options: dict[str, Any] = {"frameon": True, "framealpha": 0.85, "edgecolor": "none", "fontsize": 9.5}
    axis.legend(**{**options, "prop": {"family": font_families(), "size": 9.5}, **place})


def key_below(figure: Figure, *, columns: int = 1) -> None:
    """One legend under the axes, where it covers no data however long its names are."""
    style: dict[str, Any] = {"frameon": False, "ncols": columns, "prop": {"family": font_families(), "size": 9.5}}
    figure.legend(loc="outside lower left", **style)


def note(axis: Axes, text: str) -> None:
    """Say in the middle of an axis why nothing is drawn there."""
    axis.text(0.5, 0.5, text, ha="center", va="center", color=FAINT, transform=axis.transAxes, wrap=True)


def tick_names(names: Sequence[str], *, longest: int = 22) -> list[str]:
    """Names of users as tick labels."""
    return [plain(name, longest=longest) for name in names]


def plain(text: object, *, longest: int = 40) -> str:
    """Text of users made harmless for matplotlib: no mathematics between dollars, no control signs, not too long.

    A text that is too long loses its middle: file names differ at their ends.
    """
    clean = "".join(sign if unicodedata.category(sign)[0] != "C" else "�" for sign in str(text))
    if len(clean) > longest:
        tail = (longest - 1) // 2
        clean = f"{clean[: longest - 1 - tail]}…{clean[len(clean) - tail :]}"
    return clean.replace("$", r"\$")


def split_name(split: str) -> str:
    """A split as people call it."""
    return SPLIT_NAMES.get(split, split)
