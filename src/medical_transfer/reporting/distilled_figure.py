"""Teacher, students and graphs side by side: how good each is, and how quickly it answers."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Final

from medical_transfer.reporting.style import PALETTE, headline, name_axes, new_figure, note
from medical_transfer.reporting.units import missing

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

NAMES: Final = {
    "teacher": "teacher",
    "student_alone": "student alone",
    "distilled": "student distilled",
    "onnx": "distilled, ONNX",
    "int8": "distilled, int8",
}
"""The models as people call them, in the order of tables."""


def students_figure(evaluation: Mapping[str, Any], costs: Mapping[str, Any]) -> Figure:
    """Test AUROC of each model with its interval, and images per second of each engine that was timed.

    Args:
        evaluation: content of `distilled_evaluation.json`.
        costs: `models` of `distilled_costs.json`.
    """
    figure, axes = new_figure(columns=2, width=10.5, height=1.3 + 0.42 * len(NAMES), sharey=True)
    quality, speed = axes[0]
    for place, name in enumerate(NAMES):
        _draw_interval(quality, place, evaluation["models"][name]["test"]["auroc"], shipped=name == "distilled")
        if name in costs:
            speed.barh(place, costs[name]["latency"][-1]["images_per_s"], height=0.55, color=PALETTE[4])
    quality.set_yticks(range(len(NAMES)), list(NAMES.values()))
    quality.invert_yaxis()
    headline(quality, "How good: test images")
    name_axes(quality, x="AUROC, with its interval over groups")
    headline(speed, "How quick: this machine")
    name_axes(speed, x=f"images per second, batches of {costs['teacher']['latency'][-1]['batch']}")
    if all(missing(evaluation["models"][name]["test"]["auroc"]["estimate"]) for name in NAMES):
        note(quality, "not defined: the test images lack a class")
    return figure


def _draw_interval(axis: Axes, place: int, row: Mapping[str, Any], *, shipped: bool) -> None:
    if missing(row["estimate"]):
        return
    colour = PALETTE[0] if shipped else PALETTE[7]
    if not missing(row["low"]):
        axis.plot([row["low"], row["high"]], [place, place], color=colour, linewidth=2)
    axis.plot(row["estimate"], place, "o", color=colour, markersize=7)
