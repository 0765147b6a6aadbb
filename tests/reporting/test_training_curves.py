from __future__ import annotations

import itertools

import numpy as np
import pandas as pd

from medical_transfer.reporting.training_curves import training_figure


def test_lines_are_the_history_and_epochs_are_counted_over_phases(history: pd.DataFrame) -> None:
    loss, auroc, rate = training_figure(history).axes
    train, val = loss.lines[:2]
    assert (train.get_label(), val.get_label()) == ("training", "validation")
    assert list(train.get_xdata()) == [1, 2, 3]
    assert list(train.get_ydata()) == [0.6, 0.4, 0.2]
    assert list(val.get_ydata()) == [0.5, 0.45, 0.3]
    assert list(auroc.lines[0].get_ydata()) == [0.9, 0.97, 0.96]
    assert list(rate.lines[0].get_ydata()) == [1e-2, 1e-3, 1e-4]
    assert rate.get_yscale() == "log"


def test_title_counts_epochs_and_minutes(history: pd.DataFrame) -> None:
    assert training_figure(history).axes[0].get_title(loc="left") == "Training: 3 epochs in 2.0 minutes"


def test_phases_are_shaded_and_named(history: pd.DataFrame) -> None:
    loss = training_figure(history).axes[0]
    assert [(patch.get_x(), patch.get_width()) for patch in loss.patches] == [(0.5, 2.0), (2.5, 1.0)]
    assert [text.get_text() for text in loss.texts] == ["head", "partial"]


def test_names_of_short_phases_do_not_run_into_one_another(history: pd.DataFrame) -> None:
    """Gradual unfreezing: twenty epochs of the head, then nine phases of one or two."""
    phases = ["head"] * 20 + [f"thaw_{number}" for number in range(1, 10)] + ["thaw_9"]
    rows = history.iloc[[0] * len(phases)].assign(phase=phases).reset_index(drop=True)
    figure = training_figure(rows)
    figure.draw_without_rendering()
    boxes = [text.get_window_extent() for text in figure.axes[0].texts]
    assert [text.get_text() for text in figure.axes[0].texts] == list(dict.fromkeys(phases))
    assert all(left.x1 <= right.x0 for left, right in itertools.pairwise(boxes))


def test_highest_auroc_is_marked(history: pd.DataFrame) -> None:
    auroc = training_figure(history).axes[1]
    assert list(auroc.lines[1].get_xdata()) == [2]
    assert auroc.texts[0].get_text() == "highest 0.9700"


def test_undefined_auroc_and_empty_history_are_drawn(history: pd.DataFrame) -> None:
    undefined = training_figure(history.assign(val_auroc=np.nan))
    assert undefined.axes[1].texts[0].get_text() == "not defined in any epoch"
    undefined.draw_without_rendering()
    training_figure(history.iloc[:0]).draw_without_rendering()
