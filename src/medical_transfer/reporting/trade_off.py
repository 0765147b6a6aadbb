"""What invariance costs and gives: accuracy on both sites against how well a fresh classifier tells them apart."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Final

from medical_transfer.reporting.style import INK, PALETTE, headline, key_below, name_axes, new_figure, note
from medical_transfer.reporting.units import missing

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

TARGET, SOURCE, DISTANCE = "target_accuracy", "accuracy", "a_distance"
SITES: Final = {SOURCE: ("source", PALETTE[7], "s"), TARGET: ("target", PALETTE[0], "o")}
MARKERS: Final = "oD^v"
"""Another one each time that the colours begin anew."""
INVARIANCE: Final = "proxy A-distance (0: alike, 2: never alike)"


def trade_off_figure(sweep: pd.DataFrame, methods: pd.DataFrame, *, names: Mapping[str, str]) -> Figure:
    """Left: both accuracies over the strength's A-distance, a line in order of strength. Right: one point per method.

    Args:
        sweep: `alpha, target_accuracy, accuracy, a_distance`, ascending by alpha.
        methods: `method, target_accuracy, a_distance`, and `target_accuracy_spread` (NaN with one seed).
        names: methods as readers know them.
    """
    figure, axes = new_figure(columns=2, width=11.5, height=5.2)
    _of_strengths(axes[0, 0], sweep)
    _of_methods(axes[0, 1], methods, names)
    if len(sweep) or len(methods):
        key_below(figure, columns=4)
    return figure


def _of_strengths(axis: Axes, sweep: pd.DataFrame) -> None:
    headline(axis, "DANN: strength of the reversal")
    name_axes(axis, x=INVARIANCE, y="accuracy on test images")
    if sweep.empty:
        note(axis, "no strength was swept")
        return
    for number, (site, colour, marker) in SITES.items():
        axis.plot(sweep[DISTANCE], sweep[number], color=colour, marker=marker, markersize=6, label=f"{site} accuracy")
    for place, row in enumerate(sweep.to_dict("records")):
        point, beside = (row[DISTANCE], row[TARGET]), (5, 6 if place % 2 else -13)  # neighbours may lie on one another
        axis.annotate(f"{row['alpha']:g}", point, xytext=beside, textcoords="offset points", color=INK, fontsize=9)


def _of_methods(axis: Axes, methods: pd.DataFrame, names: Mapping[str, str]) -> None:
    headline(axis, "Methods: mean over seeds, standard deviation")
    name_axes(axis, x=INVARIANCE, y="target accuracy on test images")
    if methods.empty:
        note(axis, "no methods were compared")
        return
    for place, row in enumerate(methods.to_dict("records")):
        colour, marker = PALETTE[place % len(PALETTE)], MARKERS[place // len(PALETTE) % len(MARKERS)]
        _one_method(axis, row, colour, marker, names.get(row["method"], row["method"]))


def _one_method(axis: Axes, row: Mapping[Any, Any], colour: str, marker: str, name: str) -> None:
    spread = row.get(f"{TARGET}_spread")
    half = None if missing(spread) else spread
    axis.errorbar(row[DISTANCE], row[TARGET], yerr=half, fmt=marker, color=colour, markersize=8, capsize=3, label=name)
