"""What a reader of the page of distillation should know, in sentences; no claim goes beyond its interval."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from medical_transfer.reporting.units import count_text, decimal_text, interval_text, missing

FEWER: Final = 8.0
FASTER: Final = 5.0
POINT: Final = 0.01
"""What a student should reach: so many times fewer parameters and so many times the images per second of its teacher,
at no more than so much AUROC below it."""


def sentences(
    evaluation: Mapping[str, Any], costs: Mapping[str, Any], cards: Mapping[str, Mapping[str, Any]]
) -> list[str]:
    """In the order in which one would ask."""
    return [
        _of_size(costs, cards),
        *_of_speed(evaluation, costs),
        *_of_loss(evaluation),
        *_of_teaching(evaluation),
        _of_shipping(evaluation["export"]),
    ]


def signed_text(row: Mapping[str, Any]) -> str:
    """A difference with its sign and its interval."""
    if missing(row["estimate"]):
        return "not defined"
    ends = "" if missing(row["low"]) else f" ({_signed(row['low'])} to {_signed(row['high'])})"
    return f"{_signed(row['estimate'])}{ends}"


def _signed(value: float) -> str:
    """Three digits, or one that counts where they would hide on which side of 0 it lies."""
    return f"{value:+.1g}" if 0 < abs(value) < 0.0005 else f"{value:+.3f}"


def ratio_text(ratio: float) -> str:
    """How many times: 0.7, 5.2, 13."""
    return f"{ratio:.1f}" if ratio < 10 else f"{ratio:.0f}"


def _of_size(costs: Mapping[str, Any], cards: Mapping[str, Mapping[str, Any]]) -> str:
    teacher, student = (costs[name]["parameters"] for name in ("teacher", "distilled"))
    return (
        f"The student, {cards['distilled']['source']}, has {count_text(student)} parameters, "
        f"{ratio_text(teacher / student)} times fewer than its teacher ({count_text(teacher)})"
        f"{_goal(teacher / student >= FEWER, f'at least {FEWER:g} times fewer')}."
    )


def _of_speed(evaluation: Mapping[str, Any], costs: Mapping[str, Any]) -> list[str]:
    speed = {name: cost["latency"][-1]["images_per_s"] for name, cost in costs.items()}
    onnx, int8 = (speed[name] / speed["teacher"] for name in ("onnx", "int8"))
    said = [
        f"On this machine its ONNX file predicts {ratio_text(onnx)} times as many images per second as the teacher in "
        f"torch{_goal(onnx >= FASTER, f'at least {FASTER:g} times')}; the network alone accounts for "
        f"{ratio_text(speed['distilled'] / speed['teacher'])}, the engine for the rest."
    ]
    if int8 < onnx and evaluation["export"]["shipped"] == "int8":
        said.append(
            f"The int8 file is slower here ({ratio_text(int8)} times the teacher): this processor gains nothing from "
            "8-bit integers on this network. Take model.onnx where speed counts, model_int8.onnx where bytes do."
        )
    return said


def _of_loss(evaluation: Mapping[str, Any]) -> list[str]:
    models = evaluation["models"]
    teacher, student = (models[name]["test"]["auroc"] for name in ("teacher", "distilled"))
    difference = evaluation["to_teacher"]["distilled"]["metrics"]["auroc"]
    if missing(difference["estimate"]):
        return ["The test images lack a class, so nothing here says what the student lost."]
    n, groups = teacher["n"], teacher["groups"]
    said = (
        f"On {count_text(n)} test images in {count_text(groups)} groups it reaches an AUROC of "
        f"{interval_text(student)}, the teacher {interval_text(teacher)}; the difference is {signed_text(difference)}"
        f"{_goal(difference['estimate'] >= -POINT, f'at most {POINT:g} below')}."
    )
    if difference["estimate"] >= -POINT and not missing(difference["low"]) and difference["low"] < -POINT:
        said += " The interval also holds a larger loss: these images cannot exclude it."
    return [said]


def _of_teaching(evaluation: Mapping[str, Any]) -> list[str]:
    gained, closed = evaluation["to_alone"]["metrics"]["auroc"], evaluation["gap_closed"]["auroc"]
    if missing(gained["estimate"]) or missing(gained["low"]):
        return []
    said = f"Against the same student trained on labels alone distillation changed the AUROC by {signed_text(gained)}: "
    if gained["low"] > 0:
        said += "it helped."
    elif gained["high"] < 0:
        said += "it did harm."
    else:
        said += "whether it helped is not shown here, since the interval holds 0."
    if closed is None:
        return [said, "The teacher is not better than the student alone, so there was no lead to make up."]
    return [said, f"It made up {closed:.0%} of the teacher's lead of {_lead(evaluation)} in AUROC."]


def _lead(evaluation: Mapping[str, Any]) -> str:
    models = evaluation["models"]
    teacher, alone = (models[name]["test"]["auroc"]["estimate"] for name in ("teacher", "student_alone"))
    return decimal_text(teacher - alone)


def _of_shipping(export: Mapping[str, Any]) -> str:
    exact, rounded = export["torch_and_onnx"], export["onnx_and_int8"]
    said = (
        f"On {count_text(exact['images'])} validation images the ONNX file's probabilities differ from torch's by "
        f"{exact['largest']:.1g} at most, and those of int8 from ONNX by {rounded['largest']:.2g}; int8 decides "
        f"{rounded['disagreement']:.1%} of them otherwise{_lost(rounded['auroc_lost'])}."
    )
    kept = " Int8 is within its bounds." if export["warning"] is None else " Int8 is not shipped, the floats are kept."
    return said + kept


def _lost(auroc: float | None) -> str:
    if auroc is None:
        return ", and its loss of AUROC is not defined"
    return f" and {'gains' if auroc < 0 else 'loses'} {decimal_text(abs(auroc), digits=4)} of AUROC"


def _goal(reached: bool, words: str) -> str:  # noqa: FBT001 - reads as a sentence
    return f" (goal: {words}; {'reached' if reached else 'missed'})"
