"""One panel per method with its band, and one for the costs of all."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from medical_transfer.reporting.learning_curves import learning_curves_figure
from medical_transfer.reporting.style import PALETTE

SETTINGS = ["16", "64", "all"]


def averages(*methods, low=0.8):
    rows = [(method, setting, 0.9, low, 0.95, 10.0) for method in methods for setting in SETTINGS]
    return pd.DataFrame(rows, columns=["method", "setting", "mean", "low", "high", "seconds"])


def drawn(table, **names):
    figure = learning_curves_figure(table, settings=SETTINGS, names=names, quality="AUROC", setting="images")
    return [axis for axis in figure.axes if axis.get_visible()]


@pytest.mark.parametrize("count", [1, 2, 3, 5, 6])
def test_every_method_has_its_panel_and_the_last_one_holds_the_costs(count):
    names = {f"m{number}": f"method {number}" for number in range(count)}
    *panels, costs = drawn(averages(*names), **names)
    assert [axis.get_title("left") for axis in panels] == list(names.values())
    assert costs.get_title("left") == "Seconds of training"
    assert len(costs.lines) == count


def test_a_panel_has_the_band_of_its_method_alone_and_the_others_behind_it():
    first, second, _ = drawn(averages("a", "b"), a="A", b="B")
    for panel, colour in ((first, PALETTE[0]), (second, PALETTE[1])):
        assert [line.get_color() for line in panel.lines] == ["#C3CAD1", colour]
        assert len(panel.collections) == 1
    assert first.get_ylim() == second.get_ylim()


def test_a_setting_that_is_missing_is_a_gap_and_one_seed_has_no_band():
    table = averages("a", low=np.nan).query("setting != '64'")
    panel, _ = drawn(table, a="A")
    assert np.isnan(panel.lines[0].get_ydata()).tolist() == [False, True, False]
    assert not any(np.isfinite(path.vertices[:, 1]).any() for path in panel.collections[0].get_paths())


def test_no_trial_at_all_is_said():
    *_, costs = drawn(averages(), a="A")
    assert [text.get_text() for text in costs.texts] == ["no trial ended well"]
