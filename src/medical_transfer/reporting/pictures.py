"""Sheets of images that a person should look at: worst errors, pairs of near-duplicates, augmented views.

Images are uint8, (height, width, 3) or (height, width).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from matplotlib.figure import Figure

from medical_transfer.reporting.style import FAINT, INK, PALETTE, font_families, headline, new_figure, note, plain

if TYPE_CHECKING:
    from matplotlib.axes import Axes


@dataclass(frozen=True, slots=True)
class Pair:
    """Two images that look alike by their hashes, and the correlation of their pixels."""

    image_a: np.ndarray
    image_b: np.ndarray
    correlation: float
    caption: str = ""


def errors_figure(images: Sequence[np.ndarray], captions: Sequence[str], *, columns: int = 6) -> Figure:
    """The most confident wrong decisions as a grid, worst first, each with its caption (lines stay lines)."""
    if len(images) == 0:
        return _empty("No wrong decision among these images")
    columns = min(columns, len(images))
    rows = -(-len(images) // columns)
    figure, axes = new_figure(rows=rows, columns=columns, width=1.75 * columns, height=2.25 * rows)
    for axis, image, caption in zip(axes.flat, images, captions, strict=False):
        _show(axis, image)
        _caption(axis, caption)
    for axis in axes.flat[len(images) :]:
        axis.set_axis_off()
    return figure


def pairs_figure(kept: Sequence[Pair], apart: Sequence[Pair]) -> Figure:
    """Pairs that the pixel check kept in one group (left) and pairs that it let apart (right)."""
    rows = max(len(kept), len(apart), 1)
    figure = Figure(figsize=(8.4, 0.5 + 2.15 * rows), layout="constrained", facecolor="white")
    halves = figure.subfigures(1, 2, squeeze=False, wspace=0.06)[0]
    titles = ("Kept together: one group", "Let apart: different groups")
    for half, pairs, title, colour in zip(halves, (kept, apart), titles, (PALETTE[0], PALETTE[1]), strict=True):
        half.suptitle(title, fontsize=11.5, fontweight="bold", color=colour, fontfamily=font_families())
        axes = half.subplots(rows, 2, squeeze=False)
        for axis in axes.flat:
            axis.set_axis_off()
        for row, pair in enumerate(pairs):
            _show(axes[row, 0], pair.image_a)
            _show(axes[row, 1], pair.image_b)
            _caption(axes[row, 0], f"correlation {pair.correlation:.3f}")
            _caption(axes[row, 1], pair.caption)
        if not pairs:
            note(axes[0, 0], "no such pair")
    return figure


def augmentation_sheet(
    originals: Sequence[np.ndarray], views: Sequence[Sequence[np.ndarray]], captions: Sequence[str]
) -> Figure:
    """What the network sees: each original at the left, its K augmented views in the same row."""
    if len(originals) == 0:
        return _empty("No image to augment")
    columns = 1 + max(len(row) for row in views)
    size = {"width": 1.45 * columns, "height": 0.3 + 1.6 * len(originals)}
    figure, axes = new_figure(rows=len(originals), columns=columns, **size)
    for row, (original, seen, caption) in enumerate(zip(originals, views, captions, strict=True)):
        _show(axes[row, 0], original, frame=INK)
        _caption(axes[row, 0], caption)
        for column, view in enumerate(seen, start=1):
            _show(axes[row, column], view)
            if row == 0:
                _caption(axes[0, column], f"view {column}")
        for axis in axes[row, 1 + len(seen) :]:
            axis.set_axis_off()
    return figure


def _show(axis: Axes, image: np.ndarray, *, frame: str | None = None) -> None:
    """Draw one image with its true colours: 8-bit values are shown as they are, never stretched."""
    axis.set_axis_on()
    axis.imshow(image, cmap="gray", vmin=0, vmax=255)
    axis.set_xticks([])
    axis.set_yticks([])
    axis.grid(visible=False)
    axis.spines[:].set_visible(frame is not None)
    axis.spines[:].set_color(frame or FAINT)


def _caption(axis: Axes, text: str) -> None:
    lines = [plain(line, longest=27) for line in text.split("\n")]
    axis.set_title("\n".join(lines), fontsize=8, color=INK, loc="left", fontfamily=font_families())


def _empty(text: str) -> Figure:
    figure, axes = new_figure(width=6, height=1.2)
    axes[0, 0].set_axis_off()
    headline(axes[0, 0], "")
    note(axes[0, 0], text)
    return figure
