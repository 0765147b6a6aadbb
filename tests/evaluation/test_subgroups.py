"""Levels of a table's columns, what is measured of them, and which is the worst."""

from __future__ import annotations

import json

import numpy as np
import pandas as pd
import pytest
from sklearn.metrics import recall_score, roc_auc_score

from medical_transfer.config.evaluation import Evaluation
from medical_transfer.evaluation.evidence import weigh
from medical_transfer.evaluation.levels import NOT_GIVEN, divisions, own_columns
from medical_transfer.runtime.files import without_nan

CONFIG = Evaluation(resamples=200)
TWO = ["no", "yes"]


def predicted(images: int = 240, skill: float = 2.0, seed: int = 0) -> pd.DataFrame:
    """Test rows of two classes in groups of two."""
    rng = np.random.default_rng(seed)
    code = np.repeat(np.arange(images // 2) % 2, 2)
    positive = 1 / (1 + np.exp(-(skill * (code - 0.5) + rng.normal(size=images))))
    return pd.DataFrame(
        {
            "image_id": [f"i{k:03d}" for k in range(images)],
            "label": np.array(TWO)[code],
            "group_id": [f"g{k // 2}" for k in range(images)],
            "split": "test",
            "p_no": 1 - positive,
            "p_yes": positive,
        }
    )


def described(frame: pd.DataFrame, **columns) -> pd.DataFrame:
    """A manifest of these images with more columns."""
    names = [f"{label}/{k}.png" for k, label in enumerate(frame["label"])]
    known = {"path": names, "status": "ok", "site": None, **columns}
    return frame[["image_id", "label", "group_id", "split"]].assign(**known)


def evidence(frame: pd.DataFrame, config: Evaluation = CONFIG, **columns):
    return weigh(frame, described(frame, **columns), TWO, "yes", 0.5, config, seed=0)


def test_a_level_is_measured_as_if_it_were_alone() -> None:
    frame = predicted()
    sex = np.where(np.arange(240) % 8 < 4, "f", "m")
    found = {level["level"]: level for level in evidence(frame, sex=sex)["subgroups"]["levels"]}
    assert found.keys() == {"f", "m"}
    for name, level in found.items():
        mine = frame[sex == name]
        auroc, sensitivity = level["metrics"]["auroc"], level["metrics"]["sensitivity"]
        assert auroc["estimate"] == pytest.approx(roc_auc_score(mine.label == "yes", mine.p_yes))
        assert sensitivity["estimate"] == pytest.approx(recall_score(mine.label == "yes", mine.p_yes >= 0.5))
        assert auroc["low"] < auroc["estimate"] < auroc["high"]
        assert (level["n"], level["groups"], level["reason"]) == (120, 60, None)
        assert level["classes"] == {"no": 60, "yes": 60}


def test_a_level_too_small_is_named_and_not_measured() -> None:
    site = np.where(np.arange(240) < 8, "tiny", np.where(np.arange(240) < 120, "a", "b"))
    found = evidence(predicted(), site=site)["subgroups"]
    tiny = next(level for level in found["levels"] if level["level"] == "tiny")
    assert (tiny["n"], tiny["groups"], tiny["metrics"]) == (8, 4, {})
    assert tiny["reason"] == "too small: 4 groups, 10 are the least"
    assert {each["levels"] for each in found["worst"]} == {2}, "it is not among those that could be the worst"


def test_a_level_without_a_class_says_so() -> None:
    frame = predicted()
    site = np.where((frame["label"] == "no") & (np.arange(240) < 160), "healthy", "other")
    level = next(each for each in evidence(frame, site=site)["subgroups"]["levels"] if each["level"] == "healthy")
    assert level["reason"] == "no image of yes"
    assert np.isnan(level["metrics"]["auroc"]["estimate"])
    assert level["metrics"]["specificity"]["estimate"] > 0


def test_the_worst_level_and_how_far_it_lies() -> None:
    frame, site = predicted(skill=3), np.repeat(["a", "b", "c"], 80)
    frame.loc[160:, ["p_no", "p_yes"]] = predicted(skill=0, seed=1).loc[160:, ["p_no", "p_yes"]]
    worst = {each["metric"]: each for each in evidence(frame, site=site)["subgroups"]["worst"]}
    found = worst["auroc"]
    mine = frame["label"] == "yes"
    inside, outside = ((mine[part], frame["p_yes"][part]) for part in (site == "c", site != "c"))
    assert (found["column"], found["level"], found["levels"], found["shown"]) == ("site", "c", 3, True)
    assert found["gap"]["estimate"] == pytest.approx(roc_auc_score(*inside) - roc_auc_score(*outside))
    assert found["gap"]["low"] < found["gap"]["estimate"] < found["gap"]["high"] < 0


def test_bands_stand_in_order_and_words_after_them() -> None:
    ages = np.tile([70, 10, 30, 100, 50, np.nan], 40)
    found = evidence(predicted(), Evaluation(resamples=200, age_bands=[18, 40, 65, 100]), age=ages)["subgroups"]
    assert [level["level"] for level in found["levels"]] == [
        "below 18",
        "18 to below 40",
        "40 to below 65",
        "65 to below 100",
        "100 and above",
        NOT_GIVEN,
    ]


def test_of_equal_levels_the_worst_is_one_by_chance() -> None:
    site = np.repeat(np.arange(6), 40).astype(str)
    assert not any(each["shown"] for each in evidence(predicted(skill=1), site=site)["subgroups"]["worst"])


def test_columns_that_divide_and_those_that_do_not() -> None:
    rows = pd.DataFrame(
        {
            "patient_age": [3, 17.5, 18, 64, 65, None],
            "name": [f"n{k}" for k in range(6)],
            "view": ["AP", "AP", " PA ", "", None, "PA"],
            "same": ["x"] * 6,
            "empty": [None] * 6,
            "dose": [1, 2, 3, 4, 5, 6],
            "flag": [True, False, True, True, False, True],
            "page": [1, 1, 2, 2, 1, 1],
        }
    )
    config = Evaluation(most_levels=4)
    found, left_out = divisions(rows, [*rows.columns, "height_cm"], config)
    assert found["patient_age"].tolist() == [
        "below 18",
        "below 18",
        "18 to below 40",
        "40 to below 65",
        "65 and above",
        NOT_GIVEN,
    ]
    assert found["view"].tolist() == ["AP", "AP", "PA", NOT_GIVEN, NOT_GIVEN, "PA"]
    assert found["dose"].tolist()[0] == "below 2.25"
    assert found["dose"].tolist()[-1] == "4.75 and above"
    assert found["flag"].nunique() == 2
    assert found["page"].tolist() == ["1", "1", "2", "2", "1", "1"], "no age, whatever it ends in"
    assert left_out == {
        "name": "6 different values, more than 4",
        "same": "the same for all images",
        "empty": "not given for any image",
        "height_cm": "no such column",
    }


def test_only_chosen_columns_and_only_those_of_the_table() -> None:
    frame = predicted()
    columns = {"sex": np.tile(["f", "m"], 120), "view": np.tile(["AP", "PA"], 120), "slot": range(240), "phash": "00"}
    assert own_columns(described(frame, **columns)) == ["site", "sex", "view"]
    found = evidence(frame, Evaluation(resamples=200, subgroups=["view", "weight"]), **columns)["subgroups"]
    assert {level["column"] for level in found["levels"]} == {"view"}
    assert found["left_out"] == {"weight": "no such column"}


def test_only_test_rows_are_measured_and_rows_without_probabilities_are_not() -> None:
    frame = predicted()
    frame.loc[frame.index[:100], "split"] = "train"
    frame.loc[frame.index[100:104], ["p_no", "p_yes"]] = np.nan
    found = evidence(frame, sex=np.tile(["f", "m"], 120))["subgroups"]["levels"]
    assert [level["n"] for level in found] == [68, 68]


def test_each_class_of_three_against_the_rest() -> None:
    rng, classes = np.random.default_rng(0), ["x", "y", "z"]
    code = np.arange(150) % 3
    probabilities = rng.dirichlet([1, 1, 1], 150) * 0.6 + 0.4 * np.eye(3)[code]
    frame = pd.DataFrame(probabilities, columns=[f"p_{name}" for name in classes]).assign(
        label=np.array(classes)[code], group_id=range(150), split="test", image_id=[f"i{k}" for k in range(150)]
    )
    found = weigh(frame, described(frame), classes, None, None, CONFIG, seed=0)
    decided = probabilities.argmax(axis=1)
    for number, each in enumerate(found["per_class"]):
        assert (each["name"], each["n"], each["prevalence"]) == (classes[number], 50, pytest.approx(1 / 3))
        assert each["metrics"]["recall"]["estimate"] == pytest.approx((decided[code == number] == number).mean())
        assert each["metrics"]["precision"]["estimate"] == pytest.approx((code[decided == number] == number).mean())
        expected = roc_auc_score(code == number, probabilities[:, number])
        assert each["metrics"]["auroc"]["estimate"] == pytest.approx(expected)
    assert found["decision_curve"] is None
    assert found["predictive_values"] == []
    assert found["subgroups"] == {"levels": [], "worst": [], "left_out": {"site": "not given for any image"}}


def test_the_decision_curve_is_useful_where_a_good_model_beats_both() -> None:
    found = evidence(predicted(skill=4))
    curve = found["decision_curve"]
    assert curve is not None
    half = curve["thresholds"].index(0.5)
    frame = predicted(skill=4)
    hits, alarms = (((frame.p_yes >= 0.5) & (frame.label == name)).mean() for name in ("yes", "no"))
    assert curve["model"][half] == pytest.approx(hits - alarms)
    assert curve["low"][half] < curve["model"][half] < curve["high"][half]
    assert curve["treat_all"][half] == pytest.approx(0)
    assert {0.3, 0.5, 0.7} <= set(curve["useful"])
    useless = evidence(predicted(skill=0))["decision_curve"]
    assert useless is not None
    assert len(useless["useful"]) <= 3, "by chance, each threshold by itself"


def test_a_positive_decision_says_little_where_the_disease_is_rare() -> None:
    rare = evidence(predicted(skill=2))["predictive_values"][0]
    assert rare["prevalence"] == 0.01
    assert rare["ppv"]["estimate"] < 0.5
    assert rare["npv"]["estimate"] > 0.99


def test_without_test_images_there_is_no_evidence_and_no_error() -> None:
    found = evidence(predicted().assign(split="val"), sex=np.tile(["f", "m"], 120))
    assert (found["per_class"], found["subgroups"]["levels"], found["decision_curve"]) == ([], [], None)
    json.dumps(without_nan(found), allow_nan=False)
