"""Transferability by depth: scores of every stage from the image to the head, and where they suggest to cut."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from medical_transfer.reporting.style import (
    DASHES,
    FAINT,
    GRID,
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
from medical_transfer.reporting.units import score_name

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

PROBE: Final = "linear_probe"
RANDOM: Final = "random weights"
LARGE, SMALL = 3.4, 1.75
"""Inches of height of the probe's panel and of each other score's."""


def depth_figure(layer_choice: Mapping[str, Any]) -> Figure:
    """The probe with the range of its folds, each further score below it, all over the stages from image to head.

    Args:
        layer_choice: the content of `layer_choice.json`: `source`, `untrained_source`, `images`, `stages` and
            `suggestion`.
    """
    stages = layer_choice["stages"]
    others = [name for name in stages[0]["scores"] if name != PROBE]
    heights = [LARGE, *(SMALL for _ in others)]
    width = max(8.0, 2.0 + 0.85 * len(stages))
    figure, axes = new_figure(
        rows=len(heights), width=width, height=1.5 + sum(heights), height_ratios=heights, sharex=True
    )
    probe, panels = axes[0, 0], list(axes[:, 0])
    for axis, name in zip(panels, [PROBE, *others], strict=True):
        _draw_score(axis, stages, name, label=RANDOM if layer_choice["untrained_source"] else "pretrained")
        _mark_cut(axis, layer_choice["suggestion"], len(stages), worded=axis is probe)
    source, images = plain(layer_choice["source"], longest=32), layer_choice["images"]
    headline(probe, f"Transferability by depth: {source}, {images:,} training images")
    rotation = {"rotation": 35, "ha": "right", "rotation_mode": "anchor"} if len(stages) > 4 else {}
    panels[-1].set_xticks(range(len(stages)), tick_names([stage["name"] for stage in stages], longest=28), **rotation)
    panels[-1].set_xlim(-0.5, len(stages) - 0.5)
    name_axes(panels[-1], x="stage, from the image to the head", y=panels[-1].get_ylabel())
    key_below(figure)
    return figure


def _draw_score(axis: Axes, stages: Sequence[Mapping[str, Any]], score: str, *, label: str) -> None:
    drawn = False
    for number, (scored, name) in enumerate(((stages, label), ([stage["untrained"] for stage in stages], RANDOM))):
        if all(scored):
            style = {"color": PALETTE[number], "linestyle": DASHES[number]}
            drawn |= _draw_line(axis, scored, score, name if score == PROBE else "_", style)
    if not drawn:
        note(axis, "not defined")
    name_axes(axis, y="AUROC of the probe,\nrange of folds" if score == PROBE else score_name(score))


def _draw_line(axis: Axes, scored: Sequence[Any], score: str, label: str, style: Mapping[str, Any]) -> bool:
    """A line through the values, a band over the folds of the probe; whether there was a value to draw."""
    values = np.array([stage["scores"][score]["value"] for stage in scored], dtype=float)
    places = np.arange(len(values))
    axis.plot(places, values, marker="o", markersize=5, label=label, **style)
    folds = [stage["fold_aurocs"] for stage in scored]
    if score == PROBE and all(folds):
        low, high = [min(each) for each in folds], [max(each) for each in folds]
        axis.fill_between(places, low, high, color=style["color"], alpha=0.13, linewidth=0)
    return bool(np.isfinite(values).any())


def _mark_cut(axis: Axes, suggestion: Mapping[str, Any], stages: int, *, worded: bool) -> None:
    """A line after the last stage that is kept, and a shade over those that are retrained."""
    if suggestion.get("settings") is None:
        return
    cut = suggestion["kept"] - 0.5
    if suggestion["trainable_stages"]:
        axis.axvspan(cut, stages - 0.5, color=GRID, alpha=0.6, zorder=0)
        axis.axvline(cut, color=INK, linewidth=1.2, linestyle=(0, (4, 3)), label="suggested cut" if worded else "_")
    if worded:
        style: dict[str, Any] = {"color": FAINT, "fontsize": 9.5, "va": "bottom", "annotation_clip": False}
        where: dict[str, Any] = {"xycoords": axis.get_xaxis_transform(), "textcoords": "offset points"}
        axis.annotate("kept as it is", (cut, 0.02), xytext=(-6, 0), ha="right", **where, **style)
        if suggestion["trainable_stages"]:
            axis.annotate("retrained", (cut, 0.02), xytext=(6, 0), ha="left", **where, **style)
