from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import binomtest

from medical_transfer.reporting.curves import (
    Predicted,
    precision_recall_figure,
    reliability_figure,
    roc_figure,
    wilson,
)


def predicted(labels: list[int], positive: list[float]) -> Predicted:
    score_N = np.array(positive)
    return Predicted(np.array(labels), np.column_stack([1 - score_N, score_N]))


# Scores from the top: positive .9, negative .7, positive .6, negative .2.
FOUR = predicted([1, 0, 1, 0], [0.9, 0.7, 0.6, 0.2])


def line(axis, start: str):
    return next(found for found in axis.lines if str(found.get_label()).startswith(start))


def test_roc_runs_through_points_worked_out_by_hand() -> None:
    axis = roc_figure({"val": FOUR, "test": FOUR}, classes=["no", "yes"], threshold=0.65).axes[0]
    drawn = line(axis, "test")
    assert list(zip(drawn.get_xdata(), drawn.get_ydata(), strict=True)) == [
        (0, 0),
        (0, 0.5),
        (0.5, 0.5),
        (0.5, 1),
        (1, 1),
    ]
    assert drawn.get_label() == "test: area 0.750"  # 3 of 4 pairs in the right order
    assert "validation: area 0.750" in [found.get_label() for found in axis.lines]


def test_roc_marks_the_decisions_at_the_threshold() -> None:
    axis = roc_figure({"test": FOUR}, classes=["no", "yes"], threshold=0.65).axes[0]
    dot = next(found for found in axis.lines if found.get_marker() == "o")
    assert (dot.get_xdata()[0], dot.get_ydata()[0]) == (0.5, 0.5)  # one of two negatives called, one of two positives
    exactly = roc_figure({"test": FOUR}, classes=["no", "yes"], threshold=0.9).axes[0]
    dot = next(found for found in exactly.lines if found.get_marker() == "o")
    assert (dot.get_xdata()[0], dot.get_ydata()[0]) == (0, 0.5)  # a score at the threshold is positive


def test_positive_class_may_be_the_first() -> None:
    swapped = Predicted(1 - FOUR.labels_N, FOUR.probabilities_NC[:, ::-1])
    axis = roc_figure({"test": swapped}, classes=["yes", "no"], positive="yes", threshold=0.65).axes[0]
    dot = next(found for found in axis.lines if found.get_marker() == "o")
    assert (dot.get_xdata()[0], dot.get_ydata()[0]) == (0.5, 0.5)  # asked for "no" it would be (0, 0.5)
    assert "positive: yes" in axis.get_title(loc="left")


def test_precision_recall_by_hand_with_prevalence_line() -> None:
    axis = precision_recall_figure({"test": FOUR}, classes=["no", "yes"], threshold=0.95).axes[0]
    drawn = line(axis, "test")
    points = set(zip(drawn.get_xdata(), np.round(drawn.get_ydata(), 9), strict=True))
    assert points == {(1, 0.5), (1, round(2 / 3, 9)), (0.5, 0.5), (0.5, 1), (0, 1)}
    assert drawn.get_label() == "test: AP 0.833, prevalence 0.500"  # (1 + 2/3) / 2
    assert any(list(found.get_ydata()) == [0.5, 0.5] for found in axis.lines if found is not drawn)
    dot = next(found for found in axis.lines if found.get_marker() == "o")
    assert (dot.get_xdata()[0], dot.get_ydata()[0]) == (0, 1)  # nobody is called positive


@pytest.mark.parametrize("draw", [roc_figure, precision_recall_figure])
def test_more_classes_are_one_against_the_rest_on_the_last_split(draw) -> None:
    labels = np.array([0, 1, 2, 0])
    test = Predicted(labels, np.eye(4)[labels])
    axis = draw({"val": FOUR, "test": test}, classes=["a", "b$1", "c$2", "d"]).axes[0]
    labels = [str(found.get_label()) for found in axis.lines]
    assert sum("1.000" in label for label in labels) == 3
    assert "d: not defined, one class only" in labels
    assert "test" in axis.get_title(loc="left")


@pytest.mark.parametrize("draw", [roc_figure, precision_recall_figure])
@pytest.mark.parametrize("empty", [predicted([1, 1], [0.3, 0.9]), predicted([], [])])
def test_a_split_with_one_class_or_no_image_says_so(draw, empty: Predicted) -> None:
    axis = draw({"test": empty}, classes=["no", "yes"], threshold=0.5).axes[0]
    assert any("not defined" in str(found.get_label()) for found in axis.lines)


def test_reliability_draws_the_bins_that_hold_images() -> None:
    table = pd.DataFrame({"confidence": [0.1, np.nan, 0.9], "observed": [0.2, np.nan, 0.85], "count": [10, 0, 20]})
    figure = reliability_figure({"val": table, "test": table})
    upper = figure.axes[:2]
    for axis in upper:
        measured = axis.containers[0].lines[0]
        assert list(measured.get_xdata()) == [0.1, 0.9]
        assert list(measured.get_ydata()) == [0.2, 0.85]
    heights = [segment[1][1] for segment in figure.axes[2].collections[0].get_segments()]
    assert heights == [10, 20]
    assert [axis.get_title(loc="left").split(":")[0] for axis in upper] == [
        "Calibration, validation",
        "Calibration, test",
    ]


@settings(max_examples=30, deadline=None)
@given(count=st.integers(1, 400), data=st.data())
def test_wilson_equals_scipy(count: int, data: st.DataObject) -> None:
    hits = data.draw(st.integers(0, count))
    expected = binomtest(hits, count).proportion_ci(method="wilson")
    low, high = wilson(np.array([hits / count]), np.array([float(count)]))
    assert low[0] == pytest.approx(expected.low, abs=1e-9)
    assert high[0] == pytest.approx(expected.high, abs=1e-9)


def test_figures_are_drawn_without_a_warning() -> None:
    table = pd.DataFrame({"confidence": [0.1, 0.9], "observed": [0.0, 1.0], "count": [3, 3]})
    for figure in (
        roc_figure({"test": FOUR}, classes=["$a", "b$"]),
        reliability_figure({"test": table}),
        reliability_figure({}),
    ):
        figure.draw_without_rendering()
