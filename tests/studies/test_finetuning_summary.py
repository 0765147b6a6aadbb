"""The words are those that the numbers allow."""

from __future__ import annotations

import math

import pandas as pd

from medical_transfer.config.study_finetuning import StudyFinetuning
from medical_transfer.studies.finetuning import draw
from medical_transfer.studies.finetuning_summary import summary
from medical_transfer.studies.table import COLUMNS, FAILED

STUDY = StudyFinetuning(strategies=["all_frozen", "full"], sizes=[16, 64, "all"], seeds=[0, 1, 2])
PARAMETERS = {
    "images": {"kind": "packaged", "size": 160},
    "training": {"finetune": {"head_learning_rate": 0.007, "learning_rate": 2e-5}},
}
FROZEN = {"16": [0.80, 0.82, 0.84], "64": [0.80, 0.90, 0.85], "all": [0.70, 0.71, 0.73]}
FULL = {"16": [0.60, 0.61, 0.65], "64": [0.84, 0.86, 0.86], "all": [0.90, 0.91, 0.92]}


def results(seeds: int = 3) -> pd.DataFrame:
    rows = [
        (f"{method}{setting}{seed}", method, setting, seed, metric, value, value, value, 99, seconds)
        for method, values, seconds, learn in (("all_frozen", FROZEN, 5.0, 2562.0), ("full", FULL, 200.0, 3373570.0))
        for setting, column in values.items()
        for seed, auroc in enumerate(column[:seeds])
        for metric, value in (("auroc", auroc), ("trainable_parameters", learn))
    ]
    return pd.DataFrame(rows, columns=list(COLUMNS))


def test_conclusion_and_rule_by_hand():
    """16: .20, .21, .19 below, so shown; 64: -.04, .04, -.01, so not; all: .20, .20, .19 below, shown."""
    text = summary(results(), [], STUDY, PARAMETERS)
    assert (
        "At 16 images per class, all frozen (head only) has the highest AUROC; shown to be below it: full, one rate by "
        "0.200 (0.175 to 0.225, 3 seeds)."  # t(.975, 2 df) .01 / sqrt(3) = .0248
    ) in text
    assert "At all images, full, one rate has the highest AUROC; shown to be below it: all frozen" in text
    assert "No difference between strategies is shown at 64 images per class." in text
    assert "- 16 and 64 images per class: **all frozen (head only)**" in text
    assert "- all images: **full, one rate**" in text
    assert "| 16 | **0.820** (0.770 to 0.870), 5 s | 0.620 (0.554 to 0.686), 3 min |" in text
    assert "- full, one rate: 3,373,570" in text
    assert "failed" not in text
    assert "Cells of a row may rest on different seeds" in text


def test_heads_that_learn_at_other_rates_are_a_limit_with_both_numbers():
    tuned = StudyFinetuning(strategies=["all_frozen", "full", "lp_ft"], learning_rates={"lp_ft": 3e-4})
    text = " ".join(summary(results(), [], tuned, PARAMETERS).split())
    assert "`training.finetune.head_learning_rate` (0.007), a linear one with a ridge; partial" in text
    assert "(full, one rate 2e-05; LP-FT (head, then full) 0.0003; heads on frozen features 0.007)" in text
    assert "the best time (of a linear head on frozen features: the last), temperature" in text


def test_halves_are_told_only_of_lp_ft():
    without, both = summary(results(), [], STUDY, PARAMETERS), StudyFinetuning(strategies=["all_frozen", "lp_ft"])
    assert "Each trial has 160 steps of 16 images and is looked at 4 times on validation." in without
    told = summary(results(), [], both, PARAMETERS)
    assert "160 steps of 16 images, LP-FT half of them for the head, and is looked at 4 times" in told


def test_the_command_names_what_is_not_at_its_default():
    text = summary(results(), [], STUDY, PARAMETERS | {"study_finetuning": STUDY.model_dump()})
    assert "`kedro run --pipeline=study_finetuning` (version " in text
    assert "- `study_finetuning.sizes: [16, 64, 'all']`\n" in text
    assert "study_finetuning.steps" not in text


def test_too_few_seeds_decide_nothing():
    text = summary(results(seeds=2), [], STUDY, PARAMETERS)
    assert "Nothing is compared: no two strategies have 3 seeds in common." in text
    assert "too few seeds to say (3 in common)" in text
    assert "**" not in text


def test_failures_are_named_and_missing_cells_are_a_dash():
    table = results()
    table = table[~((table["method"] == "full") & (table["setting"] == "64"))]
    row = ("x", "full", "64", 0, FAILED, math.nan, math.nan, math.nan, 0, 1.0)
    table = pd.concat([table, pd.DataFrame([row], columns=list(COLUMNS))])
    text = summary(table, [{"trial": "full, 64, seed 0", "sentence": "The loss became nan."}], STUDY, PARAMETERS)
    assert "- full, 64, seed 0: The loss became nan." in text
    assert "| 64 | 0.850 (0.726 to 0.974), 5 s | - |" in text
    assert "there are too few seeds to compare" in text
    assert "- 64 images per class: too few seeds to say (3 in common)" in text


def test_curves_are_drawn_from_the_table():
    frozen, full, costs = (axis for axis in draw(results(), STUDY).axes if axis.get_visible())
    assert [axis.get_title("left") for axis in (frozen, full)] == ["all frozen (head only)", "full, one rate"]
    assert frozen.lines[-1].get_ydata().round(4).tolist() == [0.82, 0.85, 0.7133]
    assert costs.lines[1].get_ydata().tolist() == [200.0] * 3
    assert [tick.get_text() for tick in frozen.get_xticklabels()] == ["16", "64", "all"]
