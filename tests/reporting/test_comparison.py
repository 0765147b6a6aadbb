"""Words and table of a comparison follow its numbers."""

from __future__ import annotations

from typing import Any

from medical_transfer.reporting.comparison import differences_table, render_comparison, sentences


def pair(first: float, second: float, low: float | None, high: float | None) -> dict[str, Any]:
    ends = {"low": None, "high": None, "n": 90, "groups": 45}
    difference = {"estimate": second - first, "low": low, "high": high, "n": 90, "groups": 45}
    return {"first": {"estimate": first, **ends}, "second": {"estimate": second, **ends}, "difference": difference}


def comparison(**changes: Any) -> dict[str, Any]:
    return {
        "split": "test",
        "images": 1090,
        "groups": 45,
        "classes": ["no", "yes"],
        "positive": "yes",
        "split_hash": "abc",
        "agreement": 0.9,
        "delong": {"estimate": 0.05, "low": 0.01, "high": 0.09, "p": 0.0004},
        "metrics": {
            "auroc": pair(0.9, 0.95, 0.012, 0.09),
            "balanced_accuracy": pair(0.8, 0.79, -0.03, 0.01),
            "brier": pair(0.2, 0.1, -0.15, -0.05),
            "calibration_slope": pair(0.5, 0.9, 0.2, 0.6),
        },
        "a": {"name": "<b>a</b>", "threshold": 0.43, "kind": "finetune"},
        "b": {"name": "predictions x"},
    } | changes


def test_a_difference_is_told_with_its_interval_and_whether_it_may_be_chance() -> None:
    said = sentences(comparison())
    assert said[0] == "Both models were asked about the same 1,090 test images in 45 groups."
    assert said[1] == (
        "AUROC: 0.950 of b against 0.900 of a. The difference +0.050 (+0.012 to +0.090) is more than chance: b is "
        "better here."
    )
    assert "may be chance: these images do not tell them apart" in said[2]
    assert "p = below 0.001" in said[3]
    assert said[4] == "They decide 90.0 % of the images alike."


def test_the_better_side_is_that_of_the_metric() -> None:
    better = dict(zip(*[differences_table(comparison())[name] for name in ("Metric", "Better")], strict=True))
    assert better == {"AUROC": "b", "Balanced accuracy": "–", "Brier score": "b", "Calibration slope": "–"}


def test_what_is_undefined_is_said() -> None:
    nothing = pair(float("nan"), float("nan"), None, None)
    said = sentences(
        comparison(metrics={"auroc": nothing, "balanced_accuracy": pair(0.8, 0.9, None, None)}, delong=None)
    )
    assert said[1] == "AUROC is not defined on these images."
    assert "there is no interval of the difference" in said[2]
    assert not any("DeLong" in sentence for sentence in said)


def test_names_of_users_stay_text() -> None:
    page = render_comparison(comparison())
    assert "<b>a</b>" not in page
    assert "&lt;b&gt;a&lt;/b&gt;" in page
    assert "0.43" in page
