"""What a model costs to keep and to run, its teacher beside it, on this machine."""

from __future__ import annotations

import platform
from importlib.metadata import version
from typing import Any

import numpy as np
from numpy.typing import NDArray

from medical_transfer.evaluation.speed import graph_engine, time_in_turn, torch_engines
from medical_transfer.models.card import WEIGHTS_FILE, TrainedModel
from medical_transfer.models.checkpoint import load_checkpoint
from medical_transfer.models.counting import count_macs, count_parameters
from medical_transfer.models.exported import GRAPH_FILES, ExportedModel
from medical_transfer.runtime.cores import cores


def costs_of(
    teacher: TrainedModel,
    student: TrainedModel,
    exported: ExportedModel,
    pixels_NSS3: NDArray[np.uint8],
    *,
    rounds: int,
) -> dict[str, Any]:
    """Parameters, multiply-accumulates of one view, bytes and latency of teacher, student and both graphs.

    Of torch's two memory formats the faster one at the largest batch counts; which it was stands beside it.
    """
    engines = {f"{name}/{layout}": run for name, model in (("teacher", teacher), ("distilled", student))
               for layout, run in torch_engines(model).items()}  # fmt: skip
    engines |= {engine: graph_engine(exported.graph(engine)) for engine in GRAPH_FILES}
    timed = time_in_turn(engines, pixels_NSS3, rounds=rounds)
    found: dict[str, Any] = {}
    for name, model in (("teacher", teacher), ("distilled", student)):
        classifier, card = load_checkpoint(model.folder)
        layouts = {place.partition("/")[2]: rows for place, rows in timed.items() if place.startswith(f"{name}/")}
        fastest = max(layouts, key=lambda layout: layouts[layout][-1]["images_per_s"])
        found[name] = {
            "parameters": count_parameters(classifier),
            "macs": count_macs(classifier, size=card.size),
            "views": 1 + len(card.symmetries),
            "bytes": (model.folder / WEIGHTS_FILE).stat().st_size,
            "layout": fastest,
            "latency": layouts[fastest],
        }
    for engine in GRAPH_FILES:
        same = {name: found["distilled"][name] for name in ("parameters", "macs", "views")}
        found[engine] = {**same, "bytes": exported.graph(engine).stat().st_size, "latency": timed[engine]}
    return found


def machine() -> dict[str, Any]:
    """What the seconds depend on."""
    libraries = {name: version(name) for name in ("torch", "onnxruntime")}
    return {"processor": platform.machine(), "cores": cores(), **libraries}
