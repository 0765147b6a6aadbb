from __future__ import annotations

from copy import deepcopy
from dataclasses import replace
from typing import Any

import pandas as pd
import pytest
from matplotlib.figure import Figure

from medical_transfer.reporting.adaptation_before_after import planes_figure, recall_figure, recall_table
from medical_transfer.reporting.adaptation_figure import methods_figure
from medical_transfer.reporting.adaptation_report import (
    Compared,
    choices_table,
    labelled_table,
    render_adaptation,
    sentences,
)
from medical_transfer.reporting.embedding import png_of


def row(estimate: float | None) -> dict[str, Any]:
    ends = {"low": None, "high": None} if estimate is None else {"low": estimate - 0.1, "high": estimate + 0.1}
    return {"estimate": estimate, **ends, "n": 40, "groups": 20}


def measured(**aurocs: float | None) -> dict[str, Any]:
    names = ("auroc", "balanced_accuracy", "ece")
    matrices = {"source_only": [[9, 1], [8, 2]], "dann": [[6, 4], [4, 6]]}
    about = {
        name: {"classes": ["ill <1>", "well"], "confusion": {"test": matrices.get(name, [[5, 5], [5, 5]])}}
        for name in aurocs
    }
    return {
        name: {"test": {metric: row(auroc) for metric in names}, "about": about[name]} for name, auroc in aurocs.items()
    }


def compared(chosen: str = "dann", alarms: list[str] | None = None, **aurocs: float | None) -> Compared:
    methods = measured(**aurocs)
    free = {name: value for name, value in aurocs.items() if name != "target_oracle" and value is not None}
    best = max(free, key=free.__getitem__, default=None)
    evaluation = {
        "methods": methods,
        "about": {"warnings": ["<b>few groups</b>"]},
        "best_by_labels": best,
        "gap": None if best is None else free[best] - free[chosen],
        "choices": {
            score: {
                "chosen": method,
                "auroc": aurocs[method],
                "gap": None if best is None else free[best] - free[method],
            }
            for score, method in (("im", chosen), ("dev", "source_only"))
        },
    }
    names = [name for name in aurocs if name != "target_oracle"]
    choice = {
        "chosen": chosen,
        "by": "im",
        "images": 30,
        "scores": {name: {"im": 0.2, "entropy": -0.3, "snd": None, "dev": -0.8, "source": 0.9} for name in names},
        "called": {name: {"ill <1>": 0.25, "well": 0.75} for name in names},
        "alarms": {name: (alarms or []) if name == chosen else [] for name in names},
    }
    missing = None if "target_oracle" in aurocs else "the second site has no labels"
    beside = chosen if chosen != "source_only" else "dann"
    apart = dict.fromkeys(aurocs, 0.5) | ({"dann": 1.5} if "dann" in aurocs else {})
    return Compared(evaluation, choice, apart, missing, {"batch_norm": "it has <none>"}, beside, 0)


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
    "no labels": (
        compared(source_only=None, dann=None),
        ["lack labels (the second site has no labels): nothing here says"],
    ),
    "sites apart": (compared(source_only=0.5, dann=0.7), ["still tell the sites apart (1.50 of 2)"]),
    "all alarmed": (compared(alarms=["im fell"], source_only=0.5, dann=0.7), ["Every other way raised an alarm"]),
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
        assert "tell the sites apart" not in said
        assert "Every other way" not in said


@pytest.mark.parametrize(("apart", "raised"), [(0.99, False), (1.0, True), (None, False)])
@pytest.mark.parametrize("chosen", ["dann", "source_only"])
def test_sites_that_are_told_apart_raise_an_alarm_whatever_was_chosen(
    apart: float | None, raised: bool, chosen: str
) -> None:
    given = compared(chosen, source_only=0.5, dann=0.7)
    said = " ".join(sentences(replace(given, invariance={"source_only": apart, "dann": 0.1})))  # type: ignore[arg-type]
    assert ("Alarm about the sites" in said) == raised
    assert ("(1.00 of 2), so no score" in said) == raised


def test_the_page_escapes_names_and_holds_tables_figure_and_alarms() -> None:
    given = compared(alarms=["im fell"], source_only=0.7, dann=0.5)
    page = render_adaptation(given, figures(given))
    assert "ill &lt;1&gt; 25%" in page
    assert "&lt;b&gt;few groups" in page
    assert "DANN: im fell." in page
    assert "not defined" in page
    assert 'src="data:image/' in page
    assert "<script" not in page
    assert "Not possible here: batch norm of the target: it has &lt;none&gt;." in page
    assert "deep embedded validation" in page
    assert page.count('src="data:image/') == 4
    plain = compared(source_only=0.7, dann=0.5)
    assert "no proof that adaptation helped" in render_adaptation(plain, figures(plain))


def test_without_labels_the_page_has_no_part_that_needs_them() -> None:
    given = compared(source_only=None, dann=None)
    page = render_adaptation(given, {name: figures(given)[name] for name in ("methods", "planes")})
    assert "Both sites, before and after" in page
    assert "Calibration on the second site" not in page
    assert "What each score would have chosen" not in page


def figures(given: Compared) -> dict[str, bytes]:
    picture = png_of(methods_figure(given.evaluation["methods"], chosen="dann"))
    return dict.fromkeys(("methods", "planes", "recall", "reliability"), picture)


def test_what_was_recovered_is_a_share_of_the_way_to_the_bound() -> None:
    table = labelled_table(compared(source_only=0.5, dann=0.6, mmd=0.4, target_oracle=0.9))
    told = dict(zip(table["Method"], table["Recovered"], strict=True))
    assert told == {"no adaptation": "", "DANN": "+25 %", "MMD": "-25 %", "trained on the target's labels": ""}
    no_way = labelled_table(compared(source_only=0.9, dann=0.95, target_oracle=0.8))
    assert set(no_way["Recovered"]) == {""}


def test_what_each_score_would_have_chosen_stands_beside_the_choice_by_labels() -> None:
    table = choices_table(compared("dann", source_only=0.75, dann=0.5))
    assert table.to_dict("list") == {
        "Chosen by": ["information maximisation (this run)", "deep embedded validation", "labels"],
        "Method": ["DANN", "no adaptation", "no adaptation"],
        "AUROC": ["0.500", "0.750", "0.750"],
        "Cost": ["0.250", "0.000", "0.000"],
    }


def test_recall_of_each_class_by_hand() -> None:
    found = compared(source_only=0.5, dann=0.7).evaluation["methods"]
    table = recall_table(found["source_only"]["about"], found["dann"]["about"], "DANN")
    assert table.to_dict("list") == {
        "Class": ["ill <1>", "well"],
        "Images": ["10", "10"],
        "Recall, no adaptation": ["0.900", "0.200"],
        "Recall, DANN": ["0.600", "0.600"],
        "Change": ["-0.300", "+0.400"],
    }
    nobody = {"classes": ["a", "b"], "confusion": {"test": [[3, 1], [0, 0]]}}
    assert recall_table(nobody, nobody, "DANN")["Change"].tolist() == ["+0.000", "not defined"]


def test_figures_before_and_after() -> None:
    found = compared(source_only=0.5, dann=0.7).evaluation["methods"]
    (axis,) = recall_figure(found["source_only"]["about"], found["dann"]["about"], "DANN").axes
    drawn = {line.get_label(): line.get_xdata().tolist() for line in axis.lines}
    assert drawn == {"no adaptation": [0.9, 0.2], "DANN": [0.6, 0.6]}
    places = pd.DataFrame(
        [(method, domain, 1.0, 2.0) for method in ("source_only", "dann") for domain in ("source", "target", "target")],
        columns=["method", "domain", "first", "second"],
    )
    named = {"source_only": "no adaptation", "dann": "DANN"}
    figure = planes_figure(places, named, {"source_only": 1.9, "dann": 0.25})
    titles = [axis.get_title(loc="left") for axis in figure.axes]
    assert titles == ["No adaptation\nsites told apart: 1.90 of 2", "DANN\nsites told apart: 0.25 of 2"]
    assert [len(axis.collections[0].get_offsets()) for axis in figure.axes] == [3, 3]
    (legend,) = figure.legends
    assert [text.get_text() for text in legend.get_texts()] == [
        "first site: 1 validation images",
        "second site: 2 validation images",
    ]


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
