"""What figures and the report's closing words are made of."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from medical_transfer.config.images import Images
from medical_transfer.pipelines.evaluation.shown import predicted_splits, reliability_tables, worst_errors
from medical_transfer.pipelines.reporting.limits import limits_of

NA = None


@pytest.fixture
def table() -> pd.DataFrame:
    rows = [
        # image, split, label, predicted, p_no, p_yes, decision at the threshold 0.3
        ("a", "test", "no", "no", 0.60, 0.40, "yes"),
        ("b", "test", "yes", "yes", 0.10, 0.90, "yes"),
        ("c", "test", "yes", "no", 0.95, 0.05, "no"),
        ("d", "test", "no", "yes", 0.20, 0.80, "yes"),
        ("e", "val", "no", "yes", 0.01, 0.99, "yes"),
        ("f", "excluded", "no", NA, NA, NA, NA),
    ]
    columns = ["image_id", "split", "label", "predicted", "p_no", "p_yes", "decision"]
    words = dict.fromkeys(["label", "predicted", "decision"], "string")
    return pd.DataFrame(rows, columns=columns).astype({**words, "p_no": float, "p_yes": float})


def test_splits_hold_only_what_was_predicted(table: pd.DataFrame) -> None:
    splits = predicted_splits(table, ["no", "yes"])
    assert splits["test"].labels_N.tolist() == [0, 1, 1, 0]
    assert splits["test"].probabilities_NC[:, 1].tolist() == [0.4, 0.9, 0.05, 0.8]
    assert splits["val"].labels_N.tolist() == [0]


def test_reliability_counts_every_image_once(table: pd.DataFrame) -> None:
    tables = reliability_tables(predicted_splits(table, ["no", "yes"]), bins=2)
    assert tables["test"]["count"].sum() == 4
    assert (tables["test"]["count"] * tables["test"]["observed"]).sum() == pytest.approx(2)


def test_worst_errors_are_wrong_decisions_of_the_test_split_the_surest_first(table: pd.DataFrame) -> None:
    worst = worst_errors(table, ["no", "yes"], count=2)
    assert worst["image_id"].tolist() == ["c", "d"]
    assert worst["caption"].tolist() == ["is yes\nsaid no (0.95)", "is no\nsaid yes (0.80)"]
    assert worst_errors(table, ["no", "yes"], count=9)["image_id"].tolist() == ["c", "d", "a"]


def test_without_a_threshold_the_most_probable_class_is_the_decision(table: pd.DataFrame) -> None:
    table["decision"] = pd.Series(NA, index=table.index, dtype="string")
    assert worst_errors(table, ["no", "yes"], count=9)["image_id"].tolist() == ["c", "d"]


def test_no_errors_no_pictures(table: pd.DataFrame) -> None:
    right = table[table["image_id"] == "b"]
    assert worst_errors(right, ["no", "yes"], count=9).empty


@pytest.mark.parametrize("known", [True, False])
def test_limits_say_whether_patients_are_known(known: bool) -> None:
    leakage = {"given_groups": known, "splits": {"test": {"images": 9, "groups": 4}}}
    sentences = limits_of(Images(kind="packaged"), leakage)
    assert any("no patient ids. Groups" in each for each in sentences) is not known
    assert any("Br35H" in each for each in sentences)
    assert any("9 images in 4 groups" in each for each in sentences)
    assert not any("Br35H" in each for each in limits_of(Images(kind="none"), leakage))
    assert np.all([each.endswith(".") for each in sentences])
