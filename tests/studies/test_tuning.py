"""What a search chose, in a table and in words."""

from __future__ import annotations

import math
from typing import Any

import pandas as pd
import pytest

from medical_transfer.config.study_tuning import StudyTuning
from medical_transfer.studies.settings import as_text
from medical_transfer.studies.settings_tried import best_of, settings_of
from medical_transfer.studies.table import COLUMNS
from medical_transfer.studies.tuning import draw, what_may_learn
from medical_transfer.studies.tuning_summary import summary

RATE, FREEZE = "training.finetune.learning_rate", "model.freeze"
STUDY = StudyTuning(
    space={RATE: {"low": 1e-5, "high": 1e-3, "log": True}, FREEZE: {"choices": ["all", "partial"]}},
    trials=3,
    seeds=[0, 1, 2],
)
PARAMETERS: dict[str, Any] = {
    "images": {"kind": "packaged", "size": 160},
    "training": {"finetune": {"learning_rate": 1e-4}},
    "model": {"freeze": "partial"},
}
OWN, GOOD, POOR = (
    as_text({RATE: rate, FREEZE: freeze}) for rate, freeze in ((1e-4, "partial"), (9.5e-4, "all"), (2e-5, "partial"))
)
VALIDATED = {
    ("default", OWN): [0.80, 0.82, 0.84],
    ("tried", GOOD): [0.90, 0.92, 0.94],
    ("tried", POOR): [0.9, 0.6, 0.6],
}


def row(method: str, setting: str, seed: int, metric: str, value: float) -> tuple[Any, ...]:
    return (f"{method}{setting}{seed}", method, setting, seed, metric, value, value, value, 40, 60.0)


def results(tests: dict[tuple[str, str], list[float]], validated: Any = None) -> pd.DataFrame:
    tables = (("val_auroc", validated or VALIDATED), ("auroc", tests))
    rows = [
        row(method, setting, seed, metric, value)
        for metric, values in tables
        for (method, setting), column in values.items()
        for seed, value in enumerate(column)
    ]
    return pd.DataFrame(rows, columns=list(COLUMNS))


def said(own: list[float], chosen: list[float]) -> str:
    return summary(results({("default", OWN): own, ("chosen", GOOD): chosen}), [], STUDY, PARAMETERS)


def test_the_best_mean_over_all_seeds_is_chosen():
    found = settings_of(results({}), STUDY)
    assert found["mean"].tolist() == pytest.approx([0.82, 0.92, 0.70])
    assert best_of(found) == GOOD
    missing = {**VALIDATED, ("tried", GOOD): [0.99, 0.99]}
    assert best_of(settings_of(results({}, missing), STUDY)) == OWN, "a setting that failed under a seed is none"
    equal = {key: [0.5, 0.5, 0.5] for key in VALIDATED}
    assert best_of(settings_of(results({}, equal), STUDY)) == OWN, "the first of equal ones"
    assert best_of(settings_of(results({}).iloc[:0], STUDY)) is None


@pytest.mark.parametrize(
    ("own", "chosen", "words"),
    [
        # differences .10 .11 .09: t(.975, 2 df) .01 / sqrt(3) = .0248
        (
            [0.70, 0.72, 0.74],
            [0.80, 0.83, 0.83],
            "+0.100 (+0.075 to +0.125, paired over 3 seeds): it is shown to be bet",
        ),
        (
            [0.80, 0.83, 0.83],
            [0.70, 0.72, 0.74],
            "(-0.125 to -0.075, paired over 3 seeds): it is shown to be **worse**",
        ),
        ([0.70, 0.72, 0.74], [0.80, 0.70, 0.74], "no difference shown. Keep the configuration's"),
        ([0.70, 0.72, 0.74], [0.80, 0.82, 0.84], "without any spread: no difference shown"),
        ([0.70, 0.72], [0.80, 0.83], "+0.105, with too few seeds (2) to say more (3 are needed)"),
    ],
)
def test_what_the_test_images_say(own, chosen, words):
    text = said(own, chosen)
    assert (
        "Of 3 settings, the one below has the highest mean validation AUROC, 0.920 (that of the configuration: 0.82"
        in text
    )
    assert words in text


def test_the_page_says_what_to_write_down_and_what_lies_at_an_edge():
    text = said([0.7, 0.7, 0.7], [0.8, 0.9, 0.8])
    assert "| `training.finetune.learning_rate` | 0.0001 | 0.00095 |" in text
    assert "```yaml\ntraining:\n  finetune:\n    learning_rate: 0.00095\nmodel:\n  freeze: all\n```" in text
    assert "At an end of its range: `training.finetune.learning_rate`." in text  # log: .0223 of 4.605 below the end
    assert f"| `{OWN}` (configuration) | 0.820 (0.770 to 0.870) | 60 s |" in text
    assert "two settings on 40 test images" in text
    assert "failed" not in text


def test_nothing_to_change_and_nothing_at_all():
    validated = {**VALIDATED, ("tried", GOOD): [0.1, 0.1, 0.1]}
    table = results({("default", OWN): [0.8, 0.8, 0.9]}, validated)
    text = summary(table, [{"trial": "tried, x, seed 0", "sentence": "Nan."}], STUDY, PARAMETERS)
    assert "`kedro run --pipeline=study_tuning`" in text
    assert "None of the 3 settings is better on validation than that of the configuration: keep it." in text
    assert "conf/local" not in text
    assert "- tried, x, seed 0: Nan." in text
    nothing = pd.DataFrame([row("default", OWN, 0, "failed", math.nan)], columns=list(COLUMNS))
    assert "nothing can be said" in summary(nothing, [], STUDY, PARAMETERS)


def test_a_chosen_setting_that_fails_on_test_is_not_compared():
    text = summary(results({("default", OWN): [0.7, 0.7, 0.7]}), [], STUDY, PARAMETERS)
    assert "It is not compared on the test images, since trials failed there." in text


def test_the_figure_has_a_panel_for_each_parameter():
    figure = draw(results({}), STUDY)
    titles = [axis.get_title(loc="left") for axis in figure.axes if axis.get_visible()]
    assert titles == ["Best setting so far", "learning rate", "freeze"]
    assert figure.axes[1].get_xscale() == "log"
    steps = figure.axes[0].lines[0].get_ydata()
    assert list(steps) == pytest.approx([0.82, 0.92, 0.92])
    draw(results({}).iloc[:0], STUDY)


def test_a_source_that_is_only_a_graph_is_chosen_only_for_heads():
    assert what_may_learn(STUDY) == {"model": {"freeze": "partial"}}
    assert what_may_learn(StudyTuning(space={RATE: {"low": 1e-5, "high": 1e-3}})) == {}
