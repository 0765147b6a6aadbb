"""Methods that learn from a few images: accuracy against shots, and against steps of adaptation."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from medical_transfer.reporting.style import DASHES, PALETTE, headline, key_below, name_axes, new_figure

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

SPREAD = 0.06
"""Methods stand so far apart on the axis of shots, in places."""


def few_shot_figure(
    by_shots: Mapping[int, pd.DataFrame],
    by_steps: Mapping[int, pd.DataFrame],
    *,
    names: Mapping[str, str],
    curve_shots: int,
) -> Figure:
    """Two panels with 95 % intervals over test episodes.

    Args:
        by_shots: shots -> a row for each method with `value, low, high`.
        by_steps: inner steps -> the same.
        names: methods as people call them; their order gives the colours.
        curve_shots: shots of the second panel, for its headline.
    """
    figure, axes = new_figure(columns=2, width=11.0, height=5.2)
    _over_shots(axes[0, 0], by_shots, names, "Test episodes, 95 % intervals", y="accuracy")
    for number, method in enumerate(names):
        _line(axes[0, 1], by_steps, method, names[method], _look(number))
    headline(axes[0, 1], f"What adaptation gives, {curve_shots} image(s) of each class")
    name_axes(axes[0, 1], x="steps on the support set")
    _one_key(figure, axes[0])
    return figure


def few_shot_panels(by_modality: Mapping[str, Mapping[int, pd.DataFrame]], *, names: Mapping[str, str]) -> Figure:
    """A panel for each modality, with 95 % intervals over test episodes.

    Args:
        by_modality: modality -> shots -> a row for each method with `value, low, high`.
        names: methods as people call them; their order gives the colours.
    """
    figure, axes = new_figure(columns=len(by_modality), width=4.4 * len(by_modality) + 1, height=5.6, sharey=True)
    for place, (modality, by_shots) in enumerate(by_modality.items()):
        _over_shots(axes[0, place], by_shots, names, modality, y="" if place else "accuracy", alike=3)
    _one_key(figure, axes[0])
    return figure


def _over_shots(
    axis: Axes, by_shots: Mapping[int, pd.DataFrame], names: Mapping[str, str], title: str, *, y: str, alike: int = 1
) -> None:
    """Methods side by side at every number of shots; `alike`: so many neighbours have one kind of line."""
    for number, method in enumerate(names):
        offset = SPREAD * (number - (len(names) - 1) / 2)
        _line(axis, by_shots, method, names[method], _look(number, alike), offset=offset, places=True)
    axis.set_xticks(range(len(by_shots)), [str(shots) for shots in by_shots])
    headline(axis, title)
    name_axes(axis, x="images of each class to learn from", y=y)


def _look(number: int, alike: int = 1) -> dict[str, Any]:
    return {"color": PALETTE[number % len(PALETTE)], "linestyle": DASHES[number // alike % len(DASHES)]}


def _one_key(figure: Figure, axes: Sequence[Axes]) -> None:
    """One legend for all panels, in which each method stands once."""
    for axis in axes[1:]:
        for container in axis.containers:
            container.set_label("_nolegend_")
    key_below(figure, columns=4)


def _line(
    axis: Axes,
    rows: Mapping[int, pd.DataFrame],
    method: str,
    label: str,
    look: Mapping[str, Any],
    *,
    offset: float = 0.0,
    places: bool = False,
) -> None:
    known = [
        (place if places else each, rows[each].loc[method])
        for place, each in enumerate(rows)
        if method in rows[each].index
    ]
    if not known:
        return
    x, y = [place + offset for place, _ in known], [row["value"] for _, row in known]
    ends = [[row["value"] - row["low"] for _, row in known], [row["high"] - row["value"] for _, row in known]]
    axis.errorbar(x, y, yerr=ends, marker="o", markersize=4, capsize=2, label=label, **look)
