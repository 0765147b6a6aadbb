"""Sources and targets as pictures: what each source reached on each target, and scores against that."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from medical_transfer.reporting.style import (
    FAINT,
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
from medical_transfer.reporting.units import missing, score_name

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

Taus = Mapping[tuple[str, str], float | None]
"""(outcome, score) -> mean weighted tau over targets."""

OUTCOMES: Final = {"probe_auroc": "linear probe", "lp_ft_auroc": "fine-tuning"}
"""Measured outcomes as they are called, in the order in which they are shown."""
MARKERS: Final = ("o", "s", "^", "D", "v", "P", "X", "*")
COLUMNS: Final = 4
MMD_SCORES: Final = {
    "spearman_mmd": "The chapter's formula, literally",
    "rdm_spearman_mmd": "The sound form (dissimilarities)",
}


def outcomes_figure(means: pd.DataFrame) -> Figure:
    """A heat map of source x target for every outcome, each cell with its mean test AUROC.

    Colours compare the sources of one target: a row runs from its worst source to its best one.

    Args:
        means: `outcome, target, source, mean`.
    """
    shown = [name for name in OUTCOMES if name in set(means["outcome"])]
    targets, sources = (list(dict.fromkeys(means[column])) for column in ("target", "source"))
    height = len(shown) * (1.9 + 0.46 * len(targets)) + 0.4
    figure, axes = new_figure(rows=max(len(shown), 1), width=3.0 + 0.92 * max(len(sources), 5), height=max(height, 3.0))
    if not shown:
        note(axes[0, 0], "nothing was measured")
    for row, (axis, outcome) in enumerate(zip(axes[:, 0], shown, strict=False)):
        mine = means[means["outcome"] == outcome].pivot_table(index="target", columns="source", values="mean")
        _heat_map(axis, mine.reindex(index=targets, columns=sources).to_numpy(float))
        axis.set_yticks(range(len(targets)), tick_names(targets))
        names = tick_names(sources, longest=28) if row == len(shown) - 1 else [""] * len(sources)
        axis.set_xticks(range(len(sources)), names, rotation=32, ha="right", rotation_mode="anchor")
        headline(axis, f"Test AUROC of {OUTCOMES[outcome]}, mean over seeds (darker: better on this target)")
    return figure


def _heat_map(axis: Axes, values_TM: np.ndarray) -> None:
    least_T, most_T = (np.nan_to_num(_ends(values_TM, which)) for which in ("min", "max"))
    spread_T = np.where(most_T > least_T, most_T - least_T, 1.0)
    share_TM = (values_TM - least_T[:, None]) / spread_T[:, None]
    axis.imshow(np.ma.masked_invalid(share_TM), cmap="Blues", vmin=-0.05, vmax=1.25, aspect="auto")
    axis.grid(visible=False)
    for (row, column), value in np.ndenumerate(values_TM):
        best = np.isfinite(value) and value == most_T[row]
        colour = FAINT if np.isnan(value) else ("white" if share_TM[row, column] > 0.7 else INK)
        text = "–" if np.isnan(value) else f"{value:.3f}"
        weight = "bold" if best else "normal"
        axis.text(column, row, text, ha="center", va="center", color=colour, fontsize=9, fontweight=weight)


def _ends(values_TM: np.ndarray, which: str) -> np.ndarray:
    outside = np.inf if which == "min" else -np.inf
    found = getattr(np.where(np.isnan(values_TM), outside, values_TM), which)(axis=1)
    return np.where(np.isfinite(found), found, np.nan)


def scores_figure(points: pd.DataFrame, taus: Taus) -> Figure:
    """Every score against the outcome, one panel per score, one colour per target; fine-tuning where it was measured.

    Args:
        points: `outcome, score, target, source, x, y`; `y` is centred within targets. Scores are shown in standard
            deviations within their target, since some have another scale on each target.
        taus: mean weighted tau of each outcome and score.
    """
    there = [name for name in OUTCOMES if name in set(points["outcome"])]
    outcome = there[-1] if there else ""
    mine = points[points["outcome"] == outcome]
    scores = list(dict.fromkeys(mine["score"]))
    rows = max(1, -(-len(scores) // COLUMNS))
    columns = min(max(len(scores), 1), COLUMNS)
    figure, axes = new_figure(rows=rows, columns=columns, width=3.5 * columns, height=0.5 + 3.0 * rows, sharey=True)
    targets = list(dict.fromkeys(mine["target"]))
    for number, score in enumerate(scores):
        axis = axes.flat[number]
        panel = mine[mine["score"] == score].copy()
        panel["x"] = _standardised(panel)
        _scatter(axis, panel, "target", targets, label=number == 0)
        headline(axis, f"{score_name(score)}\n{_tau_text(taus.get((outcome, score)))}")
        last_row, first = number >= len(scores) - columns, number % columns == 0
        quality = f"AUROC of {OUTCOMES[outcome]}\nminus target's mean" if first else ""
        name_axes(axis, x="score (SD within target)" if last_row else "", y=quality)
    _finish(figure, axes, len(scores))
    return figure


def mmd_figure(points: pd.DataFrame, taus: Taus) -> Figure:
    """The score with an MMD term against the linear probe, which sources of all domains have; colours: source domains.

    Args:
        points: as for `scores_figure`, with `domain`.
        taus: mean weighted tau of each outcome and score.
    """
    outcome = next(iter(OUTCOMES))
    mine = points[(points["outcome"] == outcome) & points["score"].isin(list(MMD_SCORES))]
    figure, axes = new_figure(columns=2, width=11.0, height=5.0, sharey=True)
    domains = list(dict.fromkeys(mine["domain"]))
    for axis, (score, name) in zip(axes[0], MMD_SCORES.items(), strict=True):
        panel = mine[mine["score"] == score]
        _scatter(axis, panel, "domain", domains, label=score == list(MMD_SCORES)[-1])
        headline(axis, f"{name}: {_tau_text(taus.get((outcome, score)))}")
        name_axes(axis, x="rank correlation - 0.1 MMD", y="AUROC of linear probe minus target's mean")
        if panel.empty:
            note(axis, "not defined for any source")
    axes[0, 1].set_ylabel("")
    _finish(figure, axes, len(MMD_SCORES))
    return figure


def _scatter(axis: Axes, panel: pd.DataFrame, column: str, names: Sequence[str], *, label: bool) -> None:
    axis.axhline(0, color=FAINT, linewidth=0.8)
    for number, name in enumerate(names):
        mine = panel[panel[column] == name]
        style: dict[str, Any] = {"color": PALETTE[number % len(PALETTE)], "alpha": 0.85, "linestyle": "none"}
        axis.plot(
            mine["x"].to_numpy(float),
            mine["y"].to_numpy(float),
            marker=MARKERS[number % len(MARKERS)],
            markersize=6,
            label=plain(name, longest=34) if label else None,
            **style,
        )


def _standardised(panel: pd.DataFrame) -> pd.Series:
    grouped = panel.groupby("target")["x"]
    spread = grouped.transform("std").fillna(0.0)
    return (panel["x"] - grouped.transform("mean")) / spread.where(spread > 0, 1.0)


def _tau_text(tau: float | None) -> str:
    return "too few sources" if missing(tau) else f"τ = {tau:.2f}"


def _finish(figure: Figure, axes: np.ndarray, panels: int) -> None:
    for axis in axes.flat[panels:]:
        axis.set_axis_off()
    if not any(axis.get_legend_handles_labels()[0] for axis in axes.flat):
        note(axes.flat[0], "nothing was measured")
        return
    key_below(figure, columns=COLUMNS)
