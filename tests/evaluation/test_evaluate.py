"""The predictions table becomes metric rows, and what is wrong with it is said."""

from __future__ import annotations

import json
import math

import numpy as np
import pandas as pd
import pytest
from sklearn import metrics as reference

from medical_transfer.config.evaluation import Evaluation
from medical_transfer.evaluation.evaluate import evaluate, identity_of_test
from medical_transfer.runtime.files import without_nan
from medical_transfer.types import UserError

CONFIG = Evaluation(resamples=200)
OF_TWO = {
    "sensitivity",
    "specificity",
    "calibration_slope",
    "calibration_intercept",
    *(f"sensitivity_at_specificity_{rate}" for rate in ("0.9", "0.95")),
    *(f"specificity_at_sensitivity_{rate}" for rate in ("0.9", "0.95")),
}


def table(classes: list[str], images: int = 120, seed: int = 0) -> pd.DataFrame:
    """Train, val and test rows of groups of two with fairly good probabilities."""
    rng = np.random.default_rng(seed)
    code = np.repeat(np.arange(images // 2) % len(classes), 2)
    logits = rng.normal(size=(images, len(classes))) + 1.5 * np.eye(len(classes))[code]
    probabilities = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    frame = pd.DataFrame(probabilities, columns=[f"p_{name}" for name in classes])
    split = np.repeat(["val", "test", "train"], [images // 3, images // 3, images - 2 * (images // 3)])
    return frame.assign(label=np.array(classes)[code], group_id=[f"g{k // 2}" for k in range(images)], split=split)


def two(labels: str, positive_scores: list[float], split: str = "test") -> pd.DataFrame:
    """Rows of classes `no` and `yes` from a word of n and y, each row its own group."""
    scores = np.array(positive_scores)
    return pd.DataFrame(
        {
            "label": [{"n": "no", "y": "yes"}[letter] for letter in labels],
            "p_no": 1 - scores,
            "p_yes": scores,
            "group_id": [f"{split}{k}" for k in range(len(labels))],
            "split": split,
        }
    )


def said(found, *words: str) -> list[str]:
    return [sentence for sentence in found["about"]["warnings"] if all(word in sentence for word in words)]


def test_two_classes_by_hand() -> None:
    # At .55: of three positives two are called (.9, .6), of two negatives one is called (.7).
    frame = two("yyynn", [0.9, 0.6, 0.2, 0.7, 0.1])
    found = evaluate(frame, ["yes", "no"], "yes", 0.55, CONFIG, seed=0)
    test, about = found["test"], found["about"]
    assert test["sensitivity"]["estimate"] == pytest.approx(2 / 3)
    assert test["specificity"]["estimate"] == pytest.approx(1 / 2)
    assert test["accuracy"]["estimate"] == pytest.approx(3 / 5)
    assert test["balanced_accuracy"]["estimate"] == pytest.approx((2 / 3 + 1 / 2) / 2)
    # Pairs won: .9 both, .6 one, .2 one, of 6.
    assert test["auroc"]["estimate"] == pytest.approx(4 / 6)
    assert about["confusion"]["test"] == [[2, 1], [1, 1]]  # in the order of `classes`: yes, no
    assert about["prevalence"]["test"] == pytest.approx({"yes": 0.6, "no": 0.4})
    assert (about["positive"], about["threshold"]) == ("yes", 0.55)
    assert (test["auroc"]["n"], test["sensitivity"]["n"], test["specificity"]["n"]) == (5, 3, 2)
    assert (test["auroc"]["groups"], test["sensitivity"]["groups"]) == (5, 3)


def test_the_positive_class_decides_the_side() -> None:
    frame = table(["a", "b"])
    as_a, as_b = (evaluate(frame, ["a", "b"], name, 0.5, CONFIG, seed=0)["test"] for name in ("a", "b"))
    rows = frame[frame.split == "test"]
    assert as_a["auprc"]["estimate"] == pytest.approx(reference.average_precision_score(rows.label == "a", rows.p_a))
    assert as_b["auprc"]["estimate"] == pytest.approx(reference.average_precision_score(rows.label == "b", rows.p_b))
    assert as_a["sensitivity"]["estimate"] == as_b["specificity"]["estimate"]
    assert evaluate(frame, ["a", "b"], None, 0.5, CONFIG, seed=0)["about"]["positive"] == "b"


@pytest.mark.parametrize("classes", [["no", "yes"], ["x", "y", "z"]])
def test_rows_of_the_evaluation(classes: list[str]) -> None:
    found = evaluate(table(classes), classes, None, None, CONFIG, seed=0)
    expected = {"auroc", "auprc", "brier", "log_loss", "ece", "accuracy", "balanced_accuracy", "mcc"}
    expected |= (
        OF_TWO if len(classes) == 2 else {f"{metric}_{name}" for metric in ("auroc", "recall") for name in classes}
    )
    for split in ("val", "test"):
        assert found[split].keys() == expected
        for name, row in found[split].items():
            assert row.keys() == {"estimate", "low", "high", "n", "groups"}
            parted = name == "calibration_slope" and math.isnan(row["low"])  # in many resamples of so few images
            assert parted or row["low"] <= row["estimate"] <= row["high"]
        assert (found[split]["auroc"]["n"], found[split]["auroc"]["groups"]) == (40, 20)
    assert json.loads(json.dumps(without_nan(found), allow_nan=False)) == without_nan(found)


def test_more_classes_agree_with_sklearn() -> None:
    classes = ["x", "y", "z"]
    frame = table(classes)
    found = evaluate(frame, classes, None, None, CONFIG, seed=0)
    rows = frame[frame.split == "test"]
    probabilities = rows[["p_x", "p_y", "p_z"]].to_numpy()
    code = rows.label.map({"x": 0, "y": 1, "z": 2}).to_numpy()
    expected = reference.roc_auc_score(code, probabilities, multi_class="ovr")
    assert found["test"]["auroc"]["estimate"] == pytest.approx(expected)
    assert found["test"]["auroc_y"]["estimate"] == pytest.approx(
        reference.roc_auc_score(code == 1, probabilities[:, 1])
    )
    decided = probabilities.argmax(axis=1)
    assert found["about"]["confusion"]["test"] == reference.confusion_matrix(code, decided).tolist()
    recalls = [found["test"][f"recall_{name}"] for name in classes]
    assert [row["estimate"] for row in recalls] == pytest.approx(reference.recall_score(code, decided, average=None))
    assert [row["n"] for row in recalls] == [(code == number).sum() for number in range(3)]
    assert found["test"]["mcc"]["estimate"] == pytest.approx(reference.matthews_corrcoef(code, decided))


def test_same_seed_same_numbers_and_one_split_does_not_move_the_other() -> None:
    frame = table(["no", "yes"])
    found = evaluate(frame, ["no", "yes"], None, 0.5, CONFIG, seed=1)
    assert evaluate(frame, ["no", "yes"], None, 0.5, CONFIG, seed=1) == found
    assert evaluate(frame[frame.split == "test"], ["no", "yes"], None, 0.5, CONFIG, seed=1)["test"] == found["test"]
    assert (
        evaluate(frame, ["no", "yes"], None, 0.5, CONFIG, seed=2)["test"]["auroc"]["low"]
        != found["test"]["auroc"]["low"]
    )


def test_whole_groups_widen_the_interval() -> None:
    frame = table(["no", "yes"], images=240)
    frame = pd.concat([frame] * 4, ignore_index=True)
    alone = frame.assign(group_id=[str(k) for k in range(len(frame))])

    def width(each: pd.DataFrame) -> float:
        row = evaluate(each, ["no", "yes"], None, 0.5, CONFIG, seed=0)["test"]["auroc"]
        return row["high"] - row["low"]

    assert width(frame) > 1.5 * width(alone)


def test_a_null_group_is_a_group_of_its_own() -> None:
    frame = two("yynn", [0.9, 0.6, 0.7, 0.1]).assign(group_id=["a", None, None, "a"])
    assert evaluate(frame, ["no", "yes"], None, 0.5, CONFIG, seed=0)["test"]["auroc"]["groups"] == 3


def test_quarantined_and_unlabelled_rows_are_counted_and_left_out() -> None:
    frame = table(["no", "yes"])
    rows = frame.index[frame.split == "test"]
    clean = evaluate(frame.drop(index=rows[:3]), ["no", "yes"], None, 0.5, CONFIG, seed=0)
    frame.loc[rows[:2], ["p_no", "p_yes"]] = np.nan
    frame.loc[rows[2], "label"] = None
    found = evaluate(frame, ["no", "yes"], None, 0.5, CONFIG, seed=0)
    assert found["test"] == clean["test"]
    assert found["about"]["left_out"]["test"] == {"quarantined": 2, "unlabelled": 1}
    assert said(found, "test", "2 quarantined")
    assert said(found, "test", "1 unlabelled")


def test_published_decisions_are_the_ones_that_are_measured() -> None:
    frame = two("yn", [0.6, 0.6]).assign(decision=["yes", "no"])
    assert evaluate(frame, ["no", "yes"], None, None, CONFIG, seed=0)["test"]["accuracy"]["estimate"] == 1
    with pytest.raises(UserError, match=r"1 decisions .* contradict the threshold 0.5"):
        evaluate(frame, ["no", "yes"], None, 0.5, CONFIG, seed=0)
    undecided = frame.assign(decision=None)
    assert evaluate(undecided, ["no", "yes"], None, 0.5, CONFIG, seed=0)["test"]["accuracy"]["estimate"] == 0.5


def test_a_missing_class_is_nan_with_a_reason() -> None:
    frame = pd.concat([two("nnyy", [0.1, 0.2, 0.9, 0.15], "val"), two("nnn", [0.1, 0.2, 0.3])])
    found = evaluate(frame, ["no", "yes"], None, 0.5, CONFIG, seed=0)
    for name in ("auroc", "auprc", "balanced_accuracy", "mcc", "sensitivity"):
        assert math.isnan(found["test"][name]["estimate"])
        assert math.isnan(found["test"][name]["low"])
        assert (
            found["about"]["undefined"]["test"][name]
            == f"{name} is undefined: the test split has no image of class 'yes'"
        )
    assert found["test"]["specificity"]["estimate"] == 1
    assert found["about"]["undefined"]["val"] == {}
    assert said(found, "test", "class 'yes' has no image")


def test_scores_that_part_the_classes_have_no_calibration_slope() -> None:
    found = evaluate(two("nnyy", [0.1, 0.2, 0.8, 0.9]), ["no", "yes"], None, 0.5, CONFIG, seed=0)
    assert math.isnan(found["test"]["calibration_slope"]["estimate"])
    assert found["about"]["undefined"]["test"] == {
        "calibration_slope": "calibration_slope is undefined: on the test images the probabilities are all the same, "
        "or part the classes entirely"
    }


def test_the_test_set_is_known_by_its_images_alone() -> None:
    frame = table(["no", "yes"])
    assert evaluate(frame, ["no", "yes"], None, 0.5, CONFIG, seed=0)["about"]["test_set"] is None
    named = frame.assign(image_id=[f"i{k}" for k in range(len(frame))])
    assert identity_of_test(named) == identity_of_test(named.sample(frac=1, random_state=0).assign(label="no"))
    assert identity_of_test(named) == identity_of_test(named[named.split == "test"])
    assert identity_of_test(named) != identity_of_test(named[named.split == "val"].assign(split="test"))


def test_an_empty_split_is_undefined_with_a_reason() -> None:
    found = evaluate(two("nyny", [0.1, 0.9, 0.2, 0.8]), ["no", "yes"], None, 0.5, CONFIG, seed=0)
    assert all(math.isnan(row["estimate"]) and row["n"] == 0 for row in found["val"].values())
    assert found["about"]["undefined"]["val"].keys() == found["val"].keys()
    assert math.isnan(found["about"]["prevalence"]["val"]["yes"])
    assert said(found, "val", "no image could be evaluated")


def test_a_constant_predictor_is_flagged() -> None:
    found = evaluate(two("nyny", [0.7] * 4), ["no", "yes"], None, 0.5, CONFIG, seed=0)
    assert said(found, "test", "constant predictor")
    assert said(found, "test", "decided as 'yes'")
    assert found["test"]["auroc"]["estimate"] == 0.5
    assert found["test"]["mcc"]["estimate"] == 0
    healthy = evaluate(two("nyny", [0.2, 0.9, 0.7, 0.4]), ["no", "yes"], None, 0.5, CONFIG, seed=0)
    assert not said(healthy, "constant predictor")
    assert not said(healthy, "decided as")


def test_few_groups_and_intervals_without_width_are_named() -> None:
    found = evaluate(two("n" * 12 + "yyy", [0.1] * 12 + [0.9] * 3), ["no", "yes"], None, 0.5, CONFIG, seed=0)
    assert said(found, "test", "class 'yes' has 3 independent groups")
    assert not said(found, "class 'no'")
    assert said(found, "auroc", "without width")


BAD = {
    "no column": (lambda frame: frame.drop(columns="p_yes"), r"lacks the columns \['p_yes'\]"),
    "strange label": (lambda frame: frame.assign(label="maybe"), "label of a val row is 'maybe'"),
    "strange decision": (lambda frame: frame.assign(decision="maybe"), "decision of a val row is 'maybe'"),
    "logits": (lambda frame: frame.assign(p_no=-2.0, p_yes=3.0), "apply the softmax once"),
    "no sum of one": (lambda frame: frame.assign(p_no=0.9, p_yes=0.9), "miss a sum of 1 by up to 0.8"),
    "infinite": (lambda frame: frame.assign(p_no=np.inf, p_yes=-np.inf), "expected rows of probabilities"),
}


@pytest.mark.parametrize("spoil, sentence", BAD.values(), ids=BAD)
def test_a_bad_table_is_refused_in_one_sentence(spoil, sentence: str) -> None:
    with pytest.raises(UserError, match=sentence):
        evaluate(spoil(table(["no", "yes"])), ["no", "yes"], None, 0.5, CONFIG, seed=0)


@pytest.mark.parametrize("classes, positive", [(["no"], None), (["no", "no"], None), (["no", "yes"], "perhaps")])
def test_bad_classes_are_refused(classes: list[str], positive: str | None) -> None:
    with pytest.raises(UserError):
        evaluate(table(["no", "yes"]), classes, positive, 0.5, CONFIG, seed=0)
