"""The decision curve as a picture: net benefit of the model beside treating all and treating none."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from medical_transfer.reporting.style import (
    FAINT,
    PALETTE,
    SPLIT_COLOURS,
    headline,
    key_below,
    name_axes,
    new_figure,
    note,
)

if TYPE_CHECKING:
    from matplotlib.figure import Figure


def decision_figure(curve: Mapping[str, Any] | None) -> Figure:
    """Draw the content of `decision_curve`; a note where there are no two classes."""
    if curve is None:
        figure, axes = new_figure(width=6, height=1.2)
        axes[0, 0].set_axis_off()
        note(axes[0, 0], "A decision curve needs images of two classes")
        return figure
    figure, axes = new_figure(width=6.2, height=4.6)
    axis, thresholds_T = axes[0, 0], np.array(curve["thresholds"])
    model_T, all_T = np.array(curve["model"]), np.array(curve["treat_all"])
    colour = SPLIT_COLOURS["test"]
    axis.fill_between(thresholds_T, curve["low"], curve["high"], color=colour, alpha=0.18, linewidth=0)
    axis.plot(thresholds_T, model_T, color=colour, linewidth=2.2, label="act on the model's word (with interval)")
    axis.plot(thresholds_T, all_T, color=PALETTE[1], linewidth=1.6, linestyle="--", label="treat all")
    axis.axhline(0, color=FAINT, linewidth=1.6, linestyle=":", label="treat none")
    top = max(float(np.max(curve["high"])), float(all_T[0]), 0.02)
    axis.set_ylim(-0.35 * top, 1.12 * top)
    axis.set_xlim(0, 1)
    headline(axis, "Net benefit on the test images")
    name_axes(axis, x="treat from this probability on", y="net benefit (true positives per image)")
    key_below(figure)
    return figure
