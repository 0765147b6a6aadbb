"""The figure of invariance against accuracy."""

from __future__ import annotations

import math

import pandas as pd
import pytest

from medical_transfer.reporting.trade_off import trade_off_figure

SWEEP = pd.DataFrame(
    {"alpha": [0.0, 1.0], "target_accuracy": [0.5, 0.7], "accuracy": [0.99, 0.95], "a_distance": [1.9, 1.2]}
)
METHODS = pd.DataFrame(
    {
        "method": ["source_only", "best"],
        "target_accuracy": [0.5, 0.9],
        "target_accuracy_spread": [math.nan, 0.02],
        "a_distance": [1.9, 1.0],
    }
)


def test_both_sites_over_the_distance_with_each_strength_named():
    figure = trade_off_figure(SWEEP, METHODS, names={"best": "all of it"})
    left, right = figure.axes
    lines = {line.get_label(): line.get_xydata().tolist() for line in left.get_lines()}
    assert lines == {
        "source accuracy": [[1.9, 0.99], [1.2, 0.95]],
        "target accuracy": [[1.9, 0.5], [1.2, 0.7]],
    }
    assert [text.get_text() for text in left.texts] == ["0", "1"]
    labels = right.get_legend_handles_labels()[1]
    assert labels == ["source_only", "all of it"]


def test_a_spread_is_drawn_where_there_is_one():
    bars = trade_off_figure(SWEEP, METHODS, names={}).axes[1].containers
    assert [bar.has_yerr for bar in bars] == [False, True]
    (lines,) = bars[1][2]
    assert lines.get_segments()[0][:, 1].tolist() == pytest.approx([0.88, 0.92])


def test_what_was_not_run_is_said():
    figure = trade_off_figure(SWEEP[:0], METHODS[:0], names={})
    assert [axis.texts[0].get_text() for axis in figure.axes] == ["no strength was swept", "no methods were compared"]


def test_many_methods_look_different():
    many = pd.concat([METHODS] * 8).assign(method=[f"m{number}" for number in range(16)])
    bars = trade_off_figure(SWEEP, many, names={}).axes[1].containers
    looks = {(bar[0].get_color(), bar[0].get_marker()) for bar in bars}
    assert len(looks) == 16
