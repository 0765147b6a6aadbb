"""From images to patients, by hand."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from medical_transfer.evaluation.patients import by_patient

NA = None


def images(rows: list[tuple], classes: tuple[str, ...] = ("no", "yes")) -> pd.DataFrame:
    columns = ["image_id", "group_id", "label", "abstained", *(f"p_{name}" for name in classes)]
    words = dict.fromkeys(["group_id", "label"], "string")
    return pd.DataFrame(rows, columns=columns).astype({**words, "abstained": "boolean"})


def test_a_patients_probability_is_the_mean_of_the_images_that_can_be_used() -> None:
    table = images(
        [
            ("a", "Ann", "no", False, 0.9, 0.1),
            ("b", "Ann", "yes", False, 0.4, 0.6),
            ("c", "Ann", "no", True, 0.0, 1.0),  # the model abstains
            ("d", "Ann", "no", NA, np.nan, np.nan),  # not read
            ("e", "Bob", "no", False, 0.65, 0.35),
            ("f", "Cyd", NA, True, 0.3, 0.7),
            ("g", NA, "yes", False, 0.1, 0.9),  # nobody knows whose it is
        ]
    )
    found = by_patient(table, ("no", "yes"), "yes", 0.35).set_index("group_id")
    assert found.index.tolist() == ["Ann", "Bob", "Cyd"]
    assert found["images"].tolist() == [4, 1, 1]
    assert found["used"].tolist() == [2, 1, 0]
    assert found["p_yes"].tolist()[:2] == pytest.approx([0.35, 0.35])
    assert found["decision"].tolist()[:2] == ["yes", "yes"]  # at the threshold is positive
    assert found["predicted"].tolist()[:2] == ["no", "no"]
    assert found.loc["Cyd", ["p_yes", "predicted", "decision", "label"]].isna().all()
    assert found["label"].tolist()[:2] == ["yes", "no"]  # one diseased slice is a diseased patient


def test_with_more_classes_images_must_agree_on_the_label() -> None:
    table = images(
        [
            ("a", "Ann", "x", False, 0.2, 0.2, 0.6),
            ("b", "Ann", "y", False, 0.6, 0.2, 0.2),
            ("c", "Bob", "z", False, 0.1, 0.2, 0.7),
            ("d", "Bob", NA, False, 0.3, 0.2, 0.5),
        ],
        ("x", "y", "z"),
    ).drop(columns="abstained")
    found = by_patient(table, ("x", "y", "z"), None, None).set_index("group_id")
    assert pd.isna(found.loc["Ann", "label"])
    assert found.loc["Bob", "label"] == "z"
    assert found["predicted"].tolist() == ["x", "z"]
    assert found["decision"].isna().all()


def test_without_groups_there_is_no_patient() -> None:
    table = images([("a", NA, "no", False, 0.9, 0.1)])
    found = by_patient(table, ("no", "yes"), "yes", 0.5)
    assert found.empty
    assert found.columns.tolist() == ["group_id", "images", "used", "label", "predicted", "p_no", "p_yes", "decision"]
