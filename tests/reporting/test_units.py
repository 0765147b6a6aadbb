from __future__ import annotations

import pytest

from medical_transfer.reporting.units import (
    interval_text,
    megabytes_text,
    metric_name,
    percent_text,
    seconds_text,
    value_text,
)


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0.04, "0.0 s"),
        (9.94, "9.9 s"),
        (9.96, "10 s"),
        (59.6, "1 min 00 s"),
        (185.2, "3 min 05 s"),
        (3599.6, "1 h 00 min"),
        (7620, "2 h 07 min"),
        (None, "not defined"),
        (float("nan"), "not defined"),
    ],
)
def test_durations(seconds: float | None, text: str) -> None:
    assert seconds_text(seconds) == text


@pytest.mark.parametrize(("mb", "text"), [(12.4, "12 MB"), (999.6, "1.0 GB"), (2840, "2.8 GB"), (None, "not defined")])
def test_memory(mb: float | None, text: str) -> None:
    assert megabytes_text(mb) == text


@pytest.mark.parametrize(
    ("row", "text"),
    [
        ({"estimate": 0.99349, "low": 0.9901, "high": 0.99649}, "0.993 (0.990–0.996)"),
        ({"estimate": 0.5, "low": float("nan"), "high": 0.6}, "0.500 (interval not defined)"),
        ({"estimate": None, "n": 3, "reason": "one class only"}, "not defined (one class only)"),
        ({"estimate": float("nan"), "n": 0}, "not defined (no images in this split)"),
        ({"estimate": float("nan"), "n": 4}, "not defined (see the warnings of this run)"),
        (None, "not defined (not measured)"),
    ],
)
def test_intervals(row: dict | None, text: str) -> None:
    assert interval_text(row) == text


def test_names_and_values() -> None:
    assert metric_name("auroc_some_class") == "AUROC, some_class"
    assert metric_name("balanced_accuracy") == "Balanced accuracy"
    assert metric_name("calibration_slope") == "Calibration slope"
    assert (value_text(3_371_024), value_text(-0.109949), value_text(None)) == ("3,371,024", "-0.1099", "not defined")
    assert (percent_text(0.0667), percent_text(float("nan"))) == ("6.7 %", "not defined")
