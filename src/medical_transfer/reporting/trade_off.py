"""Invariance against accuracy."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pandas as pd

from medical_transfer.reporting.style import PALETTE, headline, name_axes, new_figure

if TYPE_CHECKING:
    from matplotlib.figure import Figure


def trade_off_figure(sweep: pd.DataFrame, methods: pd.DataFrame) -> Figure:
    figure, axes = new_figure(width=10.0, height=4.5)
    return figure
