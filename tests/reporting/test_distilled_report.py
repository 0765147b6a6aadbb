from __future__ import annotations

from copy import deepcopy
from typing import Any

import pytest
from matplotlib.figure import Figure

from medical_transfer.reporting.distilled_figure import NAMES, students_figure
from medical_transfer.reporting.distilled_report import (
    Students,
    costs_table,
    differences_table,
    quality_table,
    render_students,
)
from medical_transfer.reporting.distilled_words import sentences
from medical_transfer.reporting.embedding import png_of

METRICS = ("auroc", "sensitivity", "balanced_accuracy", "ece")
AUROC = {"teacher": 0.97, "student_alone": 0.95, "distilled": 0.965, "onnx": 0.965, "int8": 0.964}
SPEED = {"teacher": 20.0, "distilled": 50.0, "onnx": 120.0, "int8": 150.0}


def row(estimate: float | None, half: float = 0.01) -> dict[str, Any]:
    ends = {"low": None, "high": None} if estimate is None else {"low": estimate - half, "high": estimate + half}
    return {"estimate": estimate, **ends, "n": 450, "groups": 60}


def pair(estimate: float, half: float = 0.004) -> dict[str, Any]:
    return {"metrics": {metric: row(estimate, half) for metric in METRICS}, "delong": None, "agreement": 0.98}


def evaluation(**changes: Any) -> dict[str, Any]:
    told = {
        "models": {name: {"test": {metric: row(value) for metric in METRICS}} for name, value in AUROC.items()},
        "to_teacher": {name: pair(AUROC[name] - AUROC["teacher"]) for name in AUROC if name != "teacher"},
        "to_alone": pair(0.015),
        "gap_closed": {"auroc": 0.75, "sensitivity": None, "balanced_accuracy": 0.5},
        "minority": {"class": "<b>ill</b>", "recall": "sensitivity"},
        "about": {"warnings": ["few groups"]},
        "export": {
            "files": {name: {"file": f"{name}.onnx", "bytes": 1, "sha256": "ab12"} for name in ("onnx", "int8")},
            "torch_and_onnx": {"images": 440, "largest": 2e-6, "mean": 1e-7, "disagreement": 0.0},
            "onnx_and_int8": {"images": 440, "largest": 0.08, "mean": 0.01, "disagreement": 0.012, "auroc_lost": 0.001},
            "shipped": "int8",
            "warning": None,
        },
    }
    return deepcopy(told) | changes


def rounded_by(auroc_lost: float | None) -> dict[str, Any]:
    export = evaluation()["export"]
    return export | {"onnx_and_int8": export["onnx_and_int8"] | {"auroc_lost": auroc_lost}}


def costs(**images_per_s: float) -> dict[str, Any]:
    found = {}
    for name, speed in (SPEED | images_per_s).items():
        small = name != "teacher"
        latency = [
            {"batch": n, "median_s": n / speed, "low_s": n / speed, "high_s": n / speed, "images_per_s": speed}
            for n in (1, 32)
        ]
        found[name] = {"parameters": 300_000 if small else 3_300_000, "macs": 8e7 if small else None, "views": 4}
        found[name] |= {"bytes": 1_200_000 if small else 13_500_000, "latency": latency}
        if name in {"teacher", "distilled"}:
            found[name]["layout"] = "channels_last"
    return found


CARD = {
    "source": "first5/x",
    "kind": "distill",
    "temperature": 1.4,
    "threshold": 0.52,
    "split_hash": "abc",
    "data_licence": "MIT",
    "weights_licence": "Apache-2.0",
}
CARDS = {"teacher": CARD | {"source": "x", "kind": "finetune"}, "distilled": CARD}


def said(told: dict[str, Any], cost: dict[str, Any] | None = None) -> str:
    return " ".join(sentences(told, cost or costs(), CARDS))


def test_what_was_reached_is_called_so() -> None:
    text = said(evaluation())
    for words in (
        "300,000 parameters, 11 times fewer than its teacher (3,300,000) (goal: at least 8 times fewer; reached)",
        "predicts 6.0 times as many images per second as the teacher in torch (goal: at least 5 times; reached)",
        "the network alone accounts for 2.5",
        "On 450 test images in 60 groups it reaches an AUROC of 0.965 (0.955–0.975), the teacher 0.970",
        "the difference is -0.005 (-0.009 to -0.001) (goal: at most 0.01 below; reached).",
        "by +0.015 (+0.011 to +0.019): it helped.",
        "It made up 75% of the teacher's lead of 0.020 in AUROC.",
        "differ from torch's by 2e-06 at most",
        "decides 1.2% of them otherwise and loses 0.0010 of AUROC. Int8 is within its bounds.",
    ):
        assert words in text, words
    assert "slower" not in text
    assert "cannot exclude" not in text


CASES = {
    "a wide interval": (
        evaluation(to_teacher=evaluation()["to_teacher"] | {"distilled": pair(-0.005, 0.02)}),
        None,
        ["(-0.025 to +0.015) (goal: at most 0.01 below; reached). The interval also holds a larger loss"],
    ),
    "a loss": (
        evaluation(to_teacher=evaluation()["to_teacher"] | {"distilled": pair(-0.03)}),
        None,
        ["at most 0.01 below; missed)"],
    ),
    "no proof": (evaluation(to_alone=pair(0.002, 0.01)), None, ["not shown here, since the interval holds 0"]),
    "a narrow proof": (evaluation(to_alone=pair(0.0304, 0.03)), None, ["(+0.0004 to +0.060): it helped"]),
    "harm": (evaluation(to_alone=pair(-0.02)), None, ["it did harm"]),
    "no lead": (evaluation(gap_closed={"auroc": None}), None, ["there was no lead to make up"]),
    "slow int8": (evaluation(), costs(int8=80.0), ["int8 file is slower here (4.0 times the teacher)"]),
    "a slow student": (evaluation(), costs(onnx=60.0), ["predicts 3.0 times", "at least 5 times; missed"]),
    "int8 ranks better": (evaluation(export=rounded_by(-0.0014)), None, ["otherwise and gains 0.0014 of AUROC"]),
    "no AUROC": (evaluation(export=rounded_by(None)), None, ["otherwise, and its loss of AUROC is not defined."]),
    "floats": (
        evaluation(export=evaluation()["export"] | {"shipped": "onnx", "warning": "It loses."}),
        None,
        ["Int8 is not shipped, the floats are kept."],
    ),
}


@pytest.mark.parametrize("case", CASES)
def test_no_sentence_goes_beyond_its_interval(case: str) -> None:
    told, cost, words = CASES[case]
    for each in words:
        assert each in said(told, cost), each


def test_without_a_class_in_the_test_images_nothing_is_claimed() -> None:
    told = evaluation()
    for found in (*told["to_teacher"].values(), told["to_alone"]):
        found["metrics"]["auroc"] = row(None)
    text = said(told)
    assert "lack a class, so nothing here says what the student lost" in text
    assert "helped" not in text


def test_the_tables() -> None:
    quality = quality_table(evaluation())
    assert quality["Model"].tolist() == list(NAMES.values())
    assert list(quality)[2] == "Recall of “<b>ill</b>”"
    differences = differences_table(evaluation())
    assert differences["Difference"].tolist()[-2:] == [
        "student distilled minus alone",
        "Share of the teacher's lead made up",
    ]
    assert differences.iloc[-1].tolist()[1:] == ["75%", "no lead", "50%", ""]
    cost = costs_table(costs()).set_index("Engine")
    assert cost.loc["teacher, torch", "MACs"] == "not counted"
    assert cost.loc["distilled, ONNX", "× teacher"] == "6.0"
    assert cost.loc["distilled, ONNX", "ms, batch 1"] == "8.3 (8.3–8.3)"
    assert cost.loc["distilled, ONNX", "MB"] == "1.20"


def test_the_page_is_one_file_and_escapes_names() -> None:
    figure = students_figure(evaluation(), costs())
    assert isinstance(figure, Figure)
    page = render_students(Students(evaluation(), costs(), {"cores": 2, "torch": "2"}, CARDS, 3), png_of(figure))
    assert "<b>ill</b>" not in page
    assert "&lt;b&gt;ill" in page
    for words in (
        "cores 2, torch 2",
        "teacher channels last, student distilled channels last",
        "int8.onnx, sha256 ab12",
        "Seed 3",
        "data:image/png;base64",
    ):
        assert words in page
    assert "<script" not in page
    warned = evaluation(export=evaluation()["export"] | {"warning": "It loses much."})
    assert "It loses much." in render_students(Students(warned, costs(), {}, CARDS, 0), png_of(figure))


def test_a_figure_without_a_number() -> None:
    told = evaluation()
    for found in told["models"].values():
        found["test"]["auroc"] = row(None)
    assert "lack a class" in students_figure(told, costs()).axes[0].texts[0].get_text()
