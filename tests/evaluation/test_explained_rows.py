"""Which test images are explained."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from medical_transfer.evaluation.explanations.chosen import choose
from medical_transfer.types import UserError


def predictions(n: int = 40) -> pd.DataFrame:
    """Two images of each patient; p of `sick` rises with the row; the last ten rows are of validation."""
    sick_N = np.linspace(0.02, 0.98, n)
    said = np.where(sick_N > 0.5, "sick", "well")
    return pd.DataFrame(
        {
            "image_id": [f"i{row:02d}" for row in range(n)],
            "group_id": [f"g{row // 2:02d}" for row in range(n)],
            "split": ["test"] * (n - 10) + ["val"] * 10,
            "label": np.where(np.arange(n) % 4 < 3, said, np.where(said == "sick", "well", "sick")),
            "predicted": said,
            "decision": said,
            "p_sick": sick_N,
            "p_well": 1 - sick_N,
        }
    )


def chosen(table: pd.DataFrame, seed: int = 0, examples: int = 2) -> pd.DataFrame:
    return choose(table, ("sick", "well"), examples=examples, measured=6, rng=np.random.default_rng(seed))


def test_the_most_confident_of_each_cell_are_shown_and_no_patient_twice() -> None:
    table = predictions()
    shown = chosen(table).query("shown")
    test = table[table["split"] == "test"]
    for (label, right), rows in shown.groupby(["label", "right"]):
        cell = test[(test["label"] == label) & ((test["predicted"] == test["label"]) == right)]
        sure = cell[["p_sick", "p_well"]].max(axis=1)
        assert rows["confidence"].max() == sure.max()
        assert rows["group_id"].is_unique
        assert len(rows) == min(2, cell["group_id"].nunique())
    assert shown["label"].tolist() == sorted(shown["label"])
    assert set(shown["image_id"]) <= set(test["image_id"])


def test_those_measured_are_drawn_by_chance_one_of_each_patient() -> None:
    drawn = [chosen(predictions(), seed).query("measured") for seed in (0, 0, 1)]
    assert all(len(rows) == 6 and rows["group_id"].is_unique for rows in drawn)
    assert set(drawn[0]["image_id"]) == set(drawn[1]["image_id"])
    assert set(drawn[0]["image_id"]) != set(drawn[2]["image_id"])


def test_the_decision_counts_where_it_is_not_the_most_probable_class() -> None:
    table = predictions()
    table.loc[0, ["decision", "label"]] = "sick"
    row = chosen(table, examples=40).set_index("image_id").loc["i00"]
    assert (row["said"], row["said_number"], bool(row["right"])) == ("sick", 0, True)
    assert row["confidence"] == pytest.approx(0.02)


def test_one_patient_is_too_few() -> None:
    with pytest.raises(UserError, match=r"2 images in 1 groups"):
        chosen(predictions().head(2).assign(split="test"))
