from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from medical_transfer.evaluation.label_free import SOURCE_ONLY, choose
from medical_transfer.types import UserError

CLASSES = ("ill", "well")
PRIOR_C = np.array([0.5, 0.5])


def table(p_ill: list[float], split: str = "val") -> pd.DataFrame:
    p_N = np.array(p_ill)
    return pd.DataFrame({"split": split, "p_ill": p_N, "p_well": 1 - p_N})


UNSURE = table([0.5, 0.5, 0.5, 0.5])
SURE = table([0.99, 0.01, 0.99, 0.01])
ONE_CLASS = table([0.99] * 4)


def found(by: str = "im", **tables: pd.DataFrame):
    return choose({SOURCE_ONLY: UNSURE, **tables}, CLASSES, by=by, source_prior_C=PRIOR_C)


def test_certain_predictions_of_both_classes_are_chosen_and_one_class_is_an_alarm():
    choice = found(sure=SURE, one=ONE_CLASS)
    assert (choice["chosen"], choice["by"], choice["images"]) == ("sure", "im", 4)
    assert choice["scores"]["one"]["im"] == pytest.approx(0)
    assert choice["scores"]["sure"]["im"] == pytest.approx(np.log(2) + 0.99 * np.log(0.99) + 0.01 * np.log(0.01))
    assert choice["called"] == {
        SOURCE_ONLY: {"ill": 1.0, "well": 0.0},
        "sure": {"ill": 0.5, "well": 0.5},
        "one": {"ill": 1.0, "well": 0.0},
    }
    assert choice["alarms"]["sure"] == []
    assert any("are called ill" in reason for reason in choice["alarms"]["one"])


def test_a_score_that_fell_is_an_alarm_and_no_adaptation_may_win():
    choice = choose({SOURCE_ONLY: SURE, "worse": UNSURE}, CLASSES, by="im", source_prior_C=PRIOR_C)
    assert choice["chosen"] == SOURCE_ONLY
    assert any(reason.startswith("information maximisation fell from") for reason in choice["alarms"]["worse"])


def test_another_score_may_choose_otherwise_and_of_equals_the_first():
    assert found("entropy", one=table([0.999] * 4), sure=SURE)["chosen"] == "one"
    assert found(first=SURE, second=SURE)["chosen"] == "first"


def test_only_validation_images_with_predictions_count():
    others = pd.concat([SURE, table([0.5] * 9, "test"), table([np.nan] * 3)])
    assert found(others=others)["scores"]["others"] == found(others=SURE)["scores"]["others"]
    with pytest.raises(UserError, match="has 1 validation images with predictions"):
        choose({SOURCE_ONLY: table([0.4])}, CLASSES, by="im", source_prior_C=PRIOR_C)


def test_a_score_from_home_may_choose_and_one_without_a_value_never_does():
    tables = {SOURCE_ONLY: UNSURE, "one": ONE_CLASS, "sure": SURE}
    beside = {SOURCE_ONLY: {"dev": -0.9}, "one": {"dev": np.nan}, "sure": {"dev": -1.5}}
    choice = choose(tables, CLASSES, by="dev", source_prior_C=PRIOR_C, beside=beside)
    assert choice["chosen"] == SOURCE_ONLY
    assert choice["scores"]["sure"].keys() == {"im", "entropy", "snd", "bnm", "dev"}
    reordered = {name: tables[name] for name in ("one", SOURCE_ONLY, "sure")}
    assert choose(reordered, CLASSES, by="dev", source_prior_C=PRIOR_C, beside=beside)["chosen"] == SOURCE_ONLY
