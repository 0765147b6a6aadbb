"""Nodes of drift."""

from __future__ import annotations

import logging
from dataclasses import replace
from pathlib import Path
from typing import Any

from medical_transfer.config.base import Run
from medical_transfer.config.drift import Drift
from medical_transfer.config.folders import Folders
from medical_transfer.data.cache import frame_hash
from medical_transfer.pipelines.predict.new_predictions import MODULES, found_images, model_of, shown_name
from medical_transfer.runtime.files import read_json, write_json
from medical_transfer.runtime.seeds import derive_seed, generator
from medical_transfer.runtime.stage import content_key, once

logger = logging.getLogger(__name__)

TASK = "drift"
DRIFT_MODULES = [
    *MODULES,
    *(f"medical_transfer.{name}" for name in ("evaluation.drift", "metrics.prior_shift", "transferability.distances")),
]


def measure_drift(drift: Drift, folders: Folders, run: Run) -> dict[str, Any]:
    """Tests, novelty and shares of classes of the new images, and a verdict."""
    model = model_of(drift, folders, TASK)
    found = found_images(drift, model, folders, TASK)
    order_N = generator(run.seed, "drift/images").permutation(len(found.rows))
    new = replace(found, rows=found.rows.iloc[sorted(order_N[: drift.max_images])].reset_index(drop=True))
    key = content_key(
        inputs={
            "model": model.card.model_dump(mode="json"),
            "rows": frame_hash(new.rows),
            "files": new.reader.fingerprint(),
            "read": new.images.model_dump(mode="json", include={"sixteen_bit", "dicom"}),
            "seed": run.seed,
        },
        parameters=[drift.model_copy(update={"images": None, "model": None, "root": None, "workers": None})],
        modules=DRIFT_MODULES,
    )

    def compute(folder: Path) -> None:
        from medical_transfer.evaluation.drift_of_images import drift_of  # noqa: PLC0415 - brings torch

        told = drift_of(model, new, drift, seed=derive_seed(run.seed, "drift/permutations"))
        write_json(folder / "drift.json", told)

    told: dict[str, Any] = read_json(once(folders.predictions / TASK, key, compute) / "drift.json")
    logger.info("%s", told["sentences"][0])
    return told


def write_page(drift_told: dict[str, Any], drift: Drift, folders: Folders) -> str:
    """One page with the verdict and what it rests on."""
    from medical_transfer.reporting.drift_page import render_drift  # noqa: PLC0415 - jinja

    model = model_of(drift, folders, TASK)
    return render_drift(drift_told, model.card.model_dump(mode="json"), shown_name(drift), model.folder.name)
