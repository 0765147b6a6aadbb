"""The page of distillation: what the student lost, what it costs, and which file is shipped."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import pandas as pd

from medical_transfer.reporting.distilled_figure import NAMES
from medical_transfer.reporting.distilled_words import ratio_text, sentences, signed_text
from medical_transfer.reporting.embedding import embed_pictures
from medical_transfer.reporting.pages import environment_of_pages
from medical_transfer.reporting.units import count_text, decimal_text, interval_text, metric_name, writable

FASTEST: Final = -1
"""Place of the largest batch among the latencies."""


@dataclass(frozen=True)
class Students:
    """What the page is made from.

    Attributes:
        evaluation: content of `distilled_evaluation.json`.
        costs: `models` of `distilled_costs.json`.
        machine: what the seconds were measured on.
        cards: cards of `teacher` and `distilled`.
        seed: of the run.
    """

    evaluation: Mapping[str, Any]
    costs: Mapping[str, Any]
    machine: Mapping[str, Any]
    cards: Mapping[str, Mapping[str, Any]]
    seed: int


def render_students(students: Students, figure: bytes) -> str:
    """The page as HTML text."""
    evaluation = students.evaluation
    words = {
        "sentences": sentences(evaluation, students.costs, students.cards),
        "quality": quality_table(evaluation),
        "differences": differences_table(evaluation),
        "costs": costs_table(students.costs),
        "export": export_table(evaluation["export"]),
        "export_warning": evaluation["export"]["warning"],
        "warnings": evaluation["about"]["warnings"],
        "picture": embed_pictures({"students": figure})["students"],
        "seed": students.seed,
        "machine": ", ".join(f"{name} {value}" for name, value in students.machine.items()),
        "layouts": ", ".join(
            f"{NAMES[name]} {cost['layout'].replace('_', ' ')}"
            for name, cost in students.costs.items()
            if "layout" in cost
        ),
        "facts": _facts(students),
        "minority": evaluation["minority"]["class"],
    }
    return writable(environment_of_pages().get_template("distilled_report.html.jinja").render(**words))


def columns_of(evaluation: Mapping[str, Any]) -> dict[str, str]:
    """Metrics of the tables and their heads."""
    recall, minority = evaluation["minority"]["recall"], evaluation["minority"]["class"]
    return {
        "auroc": metric_name("auroc"),
        recall: f"Recall of “{minority}”",
        "balanced_accuracy": metric_name("balanced_accuracy"),
        "ece": metric_name("ece"),
    }


def quality_table(evaluation: Mapping[str, Any]) -> pd.DataFrame:
    """Test metrics of each model."""
    columns = columns_of(evaluation)
    rows = [
        [title, *(interval_text(evaluation["models"][name]["test"][metric]) for metric in columns)]
        for name, title in NAMES.items()
    ]
    return _texts(rows, ["Model", *columns.values()])


def differences_table(evaluation: Mapping[str, Any]) -> pd.DataFrame:
    """Paired differences on the same resamples, with the share of the gap that distillation closed."""
    columns = columns_of(evaluation)
    to_teacher = evaluation["to_teacher"]
    pairs = {
        f"{title} minus teacher": to_teacher[name]["metrics"] for name, title in NAMES.items() if name in to_teacher
    }
    pairs |= {"student distilled minus alone": evaluation["to_alone"]["metrics"]}
    rows = [[title, *(signed_text(found[metric]) for metric in columns)] for title, found in pairs.items()]
    closed = evaluation["gap_closed"]
    shares = ["" if metric not in closed else _share(closed[metric]) for metric in columns]
    return _texts([*rows, ["Share of the teacher's lead made up", *shares]], ["Difference", *columns.values()])


def costs_table(costs: Mapping[str, Any]) -> pd.DataFrame:
    """Parameters, multiplications, bytes and latency, each also against the teacher."""
    batches = [row["batch"] for row in costs["teacher"]["latency"]]
    heads = [f"ms, batch {batch}" for batch in batches]
    columns = ["Engine", "Parameters", "MACs", "MB", *heads, "Images/s", "× teacher"]
    teacher = costs["teacher"]["latency"][FASTEST]["images_per_s"]
    rows = []
    for name, title in NAMES.items():
        if (cost := costs.get(name)) is None:  # the student alone is the same network
            continue
        engine = ", torch" if "layout" in cost else ""
        speed = cost["latency"][FASTEST]["images_per_s"]
        macs = "not counted" if cost["macs"] is None else f"{cost['macs'] / 1e6:,.1f} M"
        size = f"{cost['bytes'] / 1e6:.2f}"
        latencies = [_latency(row) for row in cost["latency"]]
        numbers = [count_text(cost["parameters"]), macs, size, *latencies, f"{speed:,.0f}", ratio_text(speed / teacher)]
        rows.append([f"{title}{engine}", *numbers])
    return _texts(rows, columns)


def export_table(export: Mapping[str, Any]) -> pd.DataFrame:
    """How far each engine is from the one that it was made from, on validation images."""
    rows = []
    for title, name in (("ONNX against torch", "torch_and_onnx"), ("int8 against ONNX", "onnx_and_int8")):
        found = export[name]
        lost = decimal_text(found["auroc_lost"], digits=4) if "auroc_lost" in found else ""
        numbers = [f"{found['largest']:.2g}", f"{found['mean']:.2g}", f"{found['disagreement']:.1%}", lost]
        rows.append([title, count_text(found["images"]), *numbers])
    heads = ["Engines", "Images", "Largest difference", "Mean difference", "Decided otherwise", "AUROC lost"]
    return _texts(rows, heads)


def _latency(row: Mapping[str, Any]) -> str:
    median, low, high = (1000 * row[name] for name in ("median_s", "low_s", "high_s"))
    return f"{median:.1f} ({low:.1f}–{high:.1f})"


def _share(closed: float | None) -> str:
    return "no lead" if closed is None else f"{closed:.0%}"


def _facts(students: Students) -> list[tuple[str, str]]:
    teacher, student = students.cards["teacher"], students.cards["distilled"]
    shipped = students.evaluation["export"]["shipped"]
    file = students.evaluation["export"]["files"][shipped]
    return [
        ("Teacher", f"{teacher['source']}, {teacher['kind']}"),
        ("Student", str(student["source"])),
        ("Shipped file", f"{file['file']}, sha256 {file['sha256']}"),
        ("Temperature of probabilities", f"{student['temperature']:.3g}, inside the file"),
        ("Decision threshold", "none" if student["threshold"] is None else f"{student['threshold']:.4g}"),
        ("Split", str(student["split_hash"])),
        ("Licence of the images", str(student["data_licence"])),
        ("Licence of the weights", str(student["weights_licence"])),
    ]


def _texts(rows: Sequence[Sequence[str]], columns: Sequence[str]) -> pd.DataFrame:
    return pd.DataFrame(
        [[writable(cell) for cell in row] for row in rows], columns=[writable(each) for each in columns]
    )
