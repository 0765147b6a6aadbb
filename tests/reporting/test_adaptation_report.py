from __future__ import annotations

from copy import deepcopy
from typing import Any

import pytest
from matplotlib.figure import Figure

from medical_transfer.reporting.adaptation_figure import methods_figure
from medical_transfer.reporting.adaptation_report import Compared, render_adaptation, sentences
from medical_transfer.reporting.embedding import png_of


def row(estimate: float | None) -> dict[str, Any]:
    ends = {"low": None, "high": None} if estimate is None else {"low": estimate - 0.1, "high": estimate + 0.1}
    return {"estimate": estimate, **ends, "n": 40, "groups": 20}


def measured(**aurocs: float | None) -> dict[str, Any]:
    names = ("auroc", "balanced_accuracy", "ece")
    return {name: {"test": {metric: row(auroc) for metric in names}} for name, auroc in aurocs.items()}


def compared(chosen: str = "dann", alarms: list[str] | None = None, **aurocs: float | None) -> Compared:
    methods = measured(**aurocs)
    free = {name: value for name, value in aurocs.items() if name != "target_oracle" and value is not None}
    best = max(free, key=free.__getitem__, default=None)
    evaluation = {
        "methods": methods,
        "about": {"warnings": ["<b>few groups</b>"]},
        "best_by_labels": best,
        "gap": None if best is None else free[best] - free[chosen],
    }
    names = [name for name in aurocs if name != "target_oracle"]
    choice = {
        "chosen": chosen,
        "by": "im",
        "images": 30,
        "scores": {name: {"im": 0.2, "entropy": -0.3, "snd": None, "bnm": 0.8} for name in names},
        "called": {name: {"ill <1>": 0.25, "well": 0.75} for name in names},
        "alarms": {name: (alarms or []) if name == chosen else [] for name in names},
    }
    missing = None if "target_oracle" in aurocs else "the second site has no labels"
    return Compared(evaluation, choice, dict.fromkeys(aurocs, 1.5), missing, 0)


CASES = {
    "worse": (
        compared(source_only=0.7, dann=0.5, target_oracle=0.9),
        ["worse than no adaptation, 0.700", "cost 0.200"],
    ),
    "better": (compared(source_only=0.5, dann=0.7, target_oracle=0.9), ["no worse than no adaptation", "cost 0.000"]),
    "the bound": (
        compared(source_only=0.5, dann=0.7, target_oracle=0.9),
        ["target's labels reaches 0.900 (0.800-1.000)"],
    ),
    "no bound": (
        compared(source_only=0.5, dann=0.7),
        ["no bound from the target's own labels: the second site has no"],
    ),
    "an alarm": (compared(alarms=["im fell"], source_only=0.5, dann=0.7), ["Alarm: im fell. Do not use it"]),
    "no labels": (compared(source_only=None, dann=None), ["lack labels, so nothing here says"]),
    "no adaptation": (
        compared("source_only", source_only=0.7, dann=0.8),
        ["no adaptation was chosen, by information maximisation on 30 images", "DANN would have been taken"],
    ),
}


@pytest.mark.parametrize("case", CASES)
def test_what_is_said(case: str) -> None:
    given, expected = CASES[case]
    said = " ".join(sentences(given))
    assert all(words in said for words in expected), said
    if case == "no adaptation":
        assert "worse than" not in said


def test_the_page_escapes_names_and_holds_tables_figure_and_alarms() -> None:
    given = compared(alarms=["im fell"], source_only=0.7, dann=0.5)
    page = render_adaptation(given, png_of(methods_figure(given.evaluation["methods"], chosen="dann")))
    assert "ill &lt;1&gt; 25%" in page
    assert "&lt;b&gt;few groups" in page
    assert "DANN: im fell." in page
    assert "not defined" in page
    assert 'src="data:image/' in page
    assert "<script" not in page
    quiet = render_adaptation(compared(source_only=0.7, dann=0.5), png_of(methods_figure({}, chosen="dann")))
    assert "no proof that adaptation helped" in quiet


def test_the_figure_shows_known_numbers_and_leaves_its_input_alone() -> None:
    methods = measured(source_only=0.7, dann=0.5, mmd=None)
    before = deepcopy(methods)
    figure = methods_figure(methods, chosen="dann")
    assert isinstance(figure, Figure)
    axis = figure.axes[0]
    assert [label.get_text() for label in axis.get_yticklabels()] == ["no adaptation", "DANN"]
    assert methods == before
    empty = methods_figure(measured(mmd=None), chosen="mmd")
    assert any("have no labels" in text.get_text() for text in empty.axes[0].texts)
