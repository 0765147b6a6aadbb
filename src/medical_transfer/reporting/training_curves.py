"""How training went: loss, validation AUROC and learning rate over the epochs of all phases."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from medical_transfer.reporting.style import (
    FAINT,
    PALETTE,
    SPLIT_COLOURS,
    headline,
    key,
    name_axes,
    new_figure,
    note,
    plain,
)

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

LETTERS_ACROSS = 80
"""How many small letters go side by side into the width of an axis."""


def training_figure(history: pd.DataFrame) -> Figure:
    """Losses, validation AUROC and learning rate per epoch, the phases as shaded bands; names of narrow ones stand.

    Args:
        history: one row per epoch in order, with `phase, epoch, train_loss, val_loss, val_auroc, lr, seconds`; epochs
            may start anew in each phase, so the horizontal axis counts rows. A NaN leaves a gap.
    """
    figure, axes = new_figure(rows=3, width=8.0, height=7.2, height_ratios=[2, 2, 1], sharex=True)
    loss, auroc, rate = axes[:, 0]
    epochs = np.arange(1, len(history) + 1)
    for column, split, name in (("train_loss", "train", "training"), ("val_loss", "val", "validation")):
        values = history[column].to_numpy(float)
        loss.plot(epochs, values, "o-", color=SPLIT_COLOURS[split], markersize=4, label=name)
    auroc.plot(epochs, history["val_auroc"].to_numpy(float), "o-", color=SPLIT_COLOURS["val"], markersize=4)
    _mark_highest(auroc, history["val_auroc"].to_numpy(float))
    rate.plot(epochs, history["lr"].to_numpy(float), "o-", color=PALETTE[7], markersize=4)
    rate.set_yscale("log" if (history["lr"].to_numpy(float) > 0).any() else "linear")
    for axis in (loss, auroc, rate):
        _shade_phases(axis, history["phase"].astype(str).tolist(), named=axis is loss)
    rate.set_xlim(0.5, max(len(history), 1) + 0.5)
    minutes = float(history["seconds"].sum()) / 60
    headline(loss, f"Training: {len(history)} epochs in {minutes:.1f} minutes")
    name_axes(loss, y="loss (nats)")
    key(loss, loc="upper right")
    name_axes(auroc, y="validation AUROC")
    name_axes(rate, x="epoch, counted over all phases", y="learning rate")
    rate.xaxis.get_major_locator().set_params(integer=True)
    return figure


def _mark_highest(axis: Axes, auroc: np.ndarray) -> None:
    if np.isnan(auroc).all():
        note(axis, "not defined in any epoch")
        return
    best = int(np.nanargmax(auroc))
    axis.plot(best + 1, auroc[best], "o", color=SPLIT_COLOURS["val"], markersize=10, fillstyle="none")
    side = "right" if best >= auroc.size / 2 else "left"
    place: dict[str, Any] = {"xytext": (0, -18), "textcoords": "offset points", "ha": side}
    axis.annotate(f"highest {auroc[best]:.4f}", (best + 1, auroc[best]), color=FAINT, fontsize=9, **place)


def _shade_phases(axis: Axes, phases: list[str], *, named: bool) -> None:
    starts = [row for row, phase in enumerate(phases) if row == 0 or phase != phases[row - 1]]
    for number, (start, end) in enumerate(zip(starts, [*starts[1:], len(phases)], strict=False)):
        axis.axvspan(start + 0.5, end + 0.5, color=PALETTE[4], alpha=0.16 if number % 2 == 0 else 0.05, linewidth=0)
        if named:
            middle, name = (start + end + 1) / 2, plain(phases[start], longest=24)
            upright = len(name) > LETTERS_ACROSS * (end - start) / len(phases)
            style: dict[str, Any] = {"ha": "center", "va": "bottom", "fontsize": 9, "color": FAINT}
            style["rotation"] = 90 if upright else 0
            axis.text(middle, 0.02, name, transform=axis.get_xaxis_transform(), **style)
