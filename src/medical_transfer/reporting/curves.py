"""Curves over all thresholds: ROC, precision-recall and reliability, validation beside test.

Shapes in names: N images, C classes, T thresholds.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

import numpy as np
from sklearn.metrics import auc, average_precision_score, precision_recall_curve, roc_curve

from medical_transfer.reporting.style import (
    DASHES,
    FAINT,
    PALETTE,
    SPLIT_COLOURS,
    headline,
    key,
    key_below,
    name_axes,
    new_figure,
    note,
    plain,
    split_name,
)

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure


LONGEST_SPLIT = 12
"""A longer name in a title has a line of its own."""


@dataclass(frozen=True, slots=True)
class Predicted:
    """What a model said about one split: class codes (positions in the list of classes) and probabilities."""

    labels_N: np.ndarray
    probabilities_NC: np.ndarray


@dataclass(frozen=True, slots=True)
class _OneVsRest:
    """One curve to draw: which images are positive, how high each scored, and how the line looks."""

    name: str
    positive_N: np.ndarray
    score_N: np.ndarray
    colour: str
    dash: str

    @property
    def defined(self) -> bool:
        return 0 < int(self.positive_N.sum()) < self.positive_N.size


def roc_figure(
    splits: Mapping[str, Predicted],
    *,
    classes: Sequence[str],
    positive: str | None = None,
    threshold: float | None = None,
) -> Figure:
    """ROC curves: of two classes one per split, the frozen threshold as a dot; of more, each class against the rest.

    With more than two classes the last split alone is drawn.

    Args:
        splits: split name -> what the model said there.
        classes: C names, in the order of the probabilities' columns.
        positive: the class whose probability counts where there are two; null: the last.
        threshold: decision threshold, marked on every curve where there are two classes.
    """
    curves = list(_curves(splits, classes, positive))
    figure, axes = new_figure(width=5.4, height=5.1 + 0.23 * len(curves))
    axis = axes[0, 0]
    axis.plot([0, 1], [0, 1], color=FAINT, linewidth=1, linestyle=":", label="chance (area 0.5)")
    for curve in curves:
        if not curve.defined:
            _say_undefined(axis, curve)
            continue
        false_T, true_T, _ = roc_curve(curve.positive_N, curve.score_N, drop_intermediate=False)
        label = f"{curve.name}: area {auc(false_T, true_T):.3f}"
        axis.plot(false_T, true_T, color=curve.colour, linestyle=curve.dash, linewidth=2, label=label)
        if threshold is not None and len(classes) == 2:
            _, recall, fall_out = _at_threshold(curve, threshold)
            axis.plot(fall_out, recall, "o", color=curve.colour, markersize=8, markeredgecolor="white")
    headline(axis, _title("ROC: positives found against false alarms", list(splits)[-1], classes, positive, threshold))
    name_axes(axis, x="false positive rate (1 - specificity)", y="true positive rate (sensitivity)")
    _unit_square(axis)
    key_below(figure)
    return figure


def precision_recall_figure(
    splits: Mapping[str, Predicted],
    *,
    classes: Sequence[str],
    positive: str | None = None,
    threshold: float | None = None,
) -> Figure:
    """Precision against recall, arguments as in `roc_figure`; the dotted line of a curve is the prevalence."""
    curves = list(_curves(splits, classes, positive))
    figure, axes = new_figure(width=5.4, height=5.1 + 0.23 * len(curves))
    axis = axes[0, 0]
    for curve in curves:
        if not curve.defined:
            _say_undefined(axis, curve)
            continue
        precision_T, recall_T, _ = precision_recall_curve(curve.positive_N, curve.score_N)
        prevalence = float(curve.positive_N.mean())
        area = average_precision_score(curve.positive_N, curve.score_N)
        label = f"{curve.name}: AP {area:.3f}, prevalence {prevalence:.3f}"
        style = {"color": curve.colour, "linestyle": curve.dash, "linewidth": 2, "label": label}
        axis.plot(recall_T, precision_T, drawstyle="steps-post", **style)
        axis.axhline(prevalence, color=curve.colour, linewidth=1, linestyle=(0, (1, 2)))
        if threshold is not None and len(classes) == 2:
            precision, recall, _ = _at_threshold(curve, threshold)
            axis.plot(recall, precision, "o", color=curve.colour, markersize=8, markeredgecolor="white")
    headline(
        axis, _title("Precision against recall (AP: average precision)", list(splits)[-1], classes, positive, threshold)
    )
    name_axes(axis, x="recall (sensitivity)", y="precision (positive predictive value)")
    _unit_square(axis)
    key_below(figure)
    return figure


def reliability_figure(tables: Mapping[str, pd.DataFrame]) -> Figure:
    """Stated against observed frequency in bins, with the number of images of each bin below; one column per split.

    The bars are Wilson's 95 % intervals (1927) of each bin, which take its images as independent.

    Args:
        tables: split name -> one row per bin with `confidence` (mean stated probability), `observed` (share that was
            right) and `count`; empty bins may be there.
    """
    size = {"width": 5.2 * max(len(tables), 1), "height": 5.8}
    figure, axes = new_figure(rows=2, columns=max(len(tables), 1), height_ratios=[3.2, 1], sharex=True, **size)
    for column, (split, table) in enumerate(tables.items()):
        _reliability_column(axes[0, column], axes[1, column], table[table["count"] > 0], split)
    return figure


def _reliability_column(upper: Axes, lower: Axes, bins: pd.DataFrame, split: str) -> None:
    colour = SPLIT_COLOURS.get(split, PALETTE[0])
    said, seen, count = (bins[name].to_numpy(float) for name in ("confidence", "observed", "count"))
    low, high = wilson(seen, count)
    upper.plot([0, 1], [0, 1], color=FAINT, linewidth=1, linestyle=":", label="perfectly calibrated")
    errors = np.clip([seen - low, high - seen], 0, None)
    upper.errorbar(said, seen, errors, fmt="o-", color=colour, ecolor=colour, elinewidth=1, capsize=2, label="measured")
    name = split_name(split)
    wrapped = "\n" if len(name) > LONGEST_SPLIT else " "  # a method's name is longer than a split's
    headline(upper, f"Calibration, {name}:{wrapped}does 80 % mean 80 %?")
    name_axes(upper, y="observed frequency")
    _unit_square(upper, aspect="auto")
    key(upper, loc="upper left")
    lower.vlines(said, 0, count, color=colour, linewidth=5)
    lower.set_ylim(0, max(count.max(initial=0) * 1.15, 1))
    name_axes(lower, x="stated probability", y="images per bin")


def wilson(share: np.ndarray, count: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Ends of Wilson's 95 % interval of a share of `count` > 0 images (Wilson 1927, equation for z = 1.96)."""
    z = 1.959963984540054
    centre = (share + z**2 / (2 * count)) / (1 + z**2 / count)
    half = z / (1 + z**2 / count) * np.sqrt(share * (1 - share) / count + z**2 / (4 * count**2))
    return centre - half, centre + half


def _curves(splits: Mapping[str, Predicted], classes: Sequence[str], positive: str | None) -> Iterator[_OneVsRest]:
    if len(classes) == 2:
        column = classes.index(positive) if positive is not None else 1
        for split, scored in splits.items():
            colour, dash = SPLIT_COLOURS.get(split, PALETTE[0]), "-" if split == "test" else "--"
            chosen = scored.labels_N == column
            yield _OneVsRest(split_name(split), chosen, scored.probabilities_NC[:, column], colour, dash)
        return
    last = list(splits)[-1]
    for column, name in enumerate(classes):
        colour, dash = PALETTE[column % len(PALETTE)], DASHES[column // len(PALETTE) % len(DASHES)]
        chosen, score_N = splits[last].labels_N == column, splits[last].probabilities_NC[:, column]
        yield _OneVsRest(plain(name, longest=20), chosen, score_N, colour, dash)


def _at_threshold(curve: _OneVsRest, threshold: float) -> tuple[float, float, float]:
    """Precision (1 where nothing is called positive, as on the curve), recall and false positive rate of a decision."""
    called_N = curve.score_N >= threshold
    hits = int((called_N & curve.positive_N).sum())
    precision = hits / called_N.sum() if called_N.any() else 1.0
    return float(precision), hits / int(curve.positive_N.sum()), float(called_N[~curve.positive_N].mean())


def _title(subject: str, last: str, classes: Sequence[str], positive: str | None, threshold: float | None) -> str:
    if len(classes) != 2:
        return f"{subject}\neach class against all others, {split_name(last)}"
    asked = plain(positive if positive is not None else classes[-1], longest=24)
    dot = f"; dot: threshold {threshold:.3f}" if threshold is not None else ""
    return f"{subject}\npositive: {asked}{dot}"


def _say_undefined(axis: Axes, curve: _OneVsRest) -> None:
    axis.plot([], [], color=curve.colour, linestyle=curve.dash, label=f"{curve.name}: not defined, one class only")
    if not curve.positive_N.size:
        note(axis, f"no images in {curve.name}")


def _unit_square(axis: Axes, *, aspect: Literal["equal", "auto"] = "equal") -> None:
    axis.set_xlim(-0.015, 1.015)
    axis.set_ylim(-0.015, 1.03)
    axis.set_aspect(aspect)
