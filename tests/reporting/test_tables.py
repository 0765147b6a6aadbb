from __future__ import annotations

from typing import Any

import pandas as pd
import pytest

from medical_transfer.reporting.tables import (
    agreement_table,
    groups_table,
    how_many,
    metrics_table,
    parameters_table,
    quarantine_counts,
    ranking_table,
    splits_table,
    timing_table,
)


def test_metrics_stand_side_by_side_with_n_and_groups(evaluation: dict[str, Any]) -> None:
    table = metrics_table(evaluation).set_index("Metric")
    assert list(table.columns) == ["Validation", "Test", "What it says"]
    assert list(table.loc["Images (groups)"])[:2] == ["452 (205)", "448 (198)"]
    assert list(table.loc["AUROC"])[:2] == ["0.995 (0.990–0.999)", "0.993 (0.987–0.997)"]
    assert list(table.loc["Prevalence"]) == ["0.500", "0.498", "share of images of “yes”"]
    assert table.loc["Sensitivity", "Test"] == "0.982 (0.957–0.994), on 223 images in 101 groups"
    assert table.loc["Sensitivity", "Validation"] == "not defined (not measured)"
    assert table.loc["MCC", "Test"] == "not defined (the test split has no image of class 'maybe')"
    assert table.index[2] == "AUROC"


def test_metrics_without_validation(evaluation: dict[str, Any]) -> None:
    del evaluation["val"]
    assert list(metrics_table(evaluation).columns) == ["Metric", "Test", "What it says"]


def test_splits_and_groups(leakage: dict[str, Any]) -> None:
    table = splits_table(leakage)
    assert table.loc[0].tolist() == ["Training", "2,100", "908", "1,051", "1,049"]
    groups = groups_table(leakage).set_index("What")["Number"]
    assert groups["Groups after the pixel check"] == "1,311"
    assert groups["Pairs kept together with different labels"] == "14"
    assert "Excluded, because they share a group with a given test or validation image" in groups.index
    assert "Groups with mirrored images joined" not in groups.index
    assert "Images whose patient is not known" not in groups.index
    leakage |= {"images_with_given_group": 2400, "images_without_given_group": 600}
    told = groups_table(leakage).set_index("What")["Number"]
    assert told["Images whose patient (or block of slices) the data give"] == "2,400"
    assert told["Images whose patient is not known"] == "600"
    leakage["groups"]["with_mirrored"] = 1300
    assert groups_table(leakage).set_index("What").loc["Groups with mirrored images joined", "Number"] == "1,300"


@pytest.mark.parametrize(("found", "count"), [(None, 0), (3, 3), ([["a", "b"]], 1), ({"count": 9, "examples": []}, 9)])
def test_counts_in_each_form(found: object, count: int) -> None:
    assert how_many(found) == count


def test_ranking_names_the_chosen_first_with_ranks(transferability: dict[str, Any]) -> None:
    table = ranking_table(transferability).set_index("What")
    assert list(table.columns) == ["lite0 (chosen)", "lite1", "random"]
    assert list(table.loc["Linear probe (AUROC)"]) == ["0.9935 (1.)", "0.991 (2.)", "0.871 (3.)"]
    assert list(table.loc["Source accuracy"]) == ["75.1 (2.)", "76.6 (1.)", "not defined (it was never trained)"]
    assert table.loc["Time to score", "lite1"] == "22 s"
    assert table.loc["Pretrained on", "random"] == "nothing"


def agreed(score: str, tau: float | None, *, baseline: bool = False) -> dict[str, Any]:
    interval = {"estimate": tau, "low": None if tau is None else tau - 0.1, "high": None if tau is None else tau + 0.1}
    numbers = {"null_band": 0.41, "regret": {"estimate": 0.02, "low": 0.01, "high": 0.03}, "targets": 7, "seconds": 0.5}
    return {"score": score, "baseline": baseline, "tau_w": interval, **numbers}


def test_agreement_marks_baselines_and_the_score_that_decides(transferability: dict[str, Any]) -> None:
    told = [agreed("linear_probe", 0.6), agreed("static_order", 0.5, baseline=True)]
    table = agreement_table({**transferability, "agreement": told, "decided_by": "linear_probe"})
    assert table.loc[0].tolist() == [
        "Linear probe (AUROC) (decides)", "0.600 (0.500–0.700)", "0.41", "0.020 (0.010–0.030)", "7", "0.5"
    ]  # fmt: skip
    assert table.loc[1, "Score"] == "static order (baseline)"


def test_parameters_add_up() -> None:
    rows = [{"stage": "trunk", "trainable": 1000, "total": 4000}, {"stage": "head", "trainable": 50, "total": 50}]
    for given in (rows, pd.DataFrame(rows)):
        table = parameters_table(given)
        assert table.loc[0].tolist() == ["trunk", "1,000", "4,000", "25.0 %"]
        assert table.loc[2].tolist() == ["Total", "1,050", "4,050", "25.9 %"]
    assert parameters_table([]).loc[0].tolist() == ["Total", "0", "0", "–"]


def test_timing_in_human_units() -> None:
    table = timing_table(
        {"model_building": {"seconds": 90.0, "peak_mb": 410}, "x": {"seconds": None, "peak_mb": 1830.0}}
    )
    assert table.loc[0].tolist() == ["Model building", "1 min 30 s", "410 MB"]
    assert table.loc[1].tolist() == ["X", "not defined (not measured)", "1.8 GB"]
    assert table.loc[2].tolist() == ["Total", "1 min 30 s", "1.8 GB"]
    assert timing_table({}).loc[0, "Time"] == "not defined (not measured)"


def test_timing_says_what_was_computed_earlier() -> None:
    training = {"seconds": 0.31, "peak_mb": 410, "reused_seconds": 47.2}
    table = timing_table(
        {"training": training, "split": {"seconds": 3.2, "peak_mb": 400, "reused_seconds": 0.02}}
    ).set_index("Stage")["Time"]
    assert table["Training"] == "0.3 s; reused (computed earlier in 47 s)"
    assert table["Split"] == "3.2 s"
    assert table["Total"] == "3.5 s; reused (computed earlier in 47 s)"


def test_quarantine_counts_by_reason() -> None:
    frame = pd.DataFrame({"path": list("abc"), "reason": ["truncated", "zero bytes", "truncated"]})
    assert quarantine_counts(frame).to_numpy().tolist() == [["truncated", "2"], ["zero bytes", "1"]]
    assert quarantine_counts(frame.iloc[:0]).empty
