"""Nodes of model building."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pandas as pd

from medical_transfer.config.backbones import Backbones
from medical_transfer.config.folders import Folders
from medical_transfer.config.model import Model
from medical_transfer.data.dataset import class_names
from medical_transfer.models.backbones import find_source
from medical_transfer.runtime.files import read_json, write_json
from medical_transfer.runtime.stage import content_key, once


def plan_model(
    manifest: pd.DataFrame, transferability_scores: dict[str, Any], model: Model, backbones: Backbones, folders: Folders
) -> dict[str, Any]:
    """Say what is built: source, stages, cut, and how many parameters of each stage learn."""
    source, classes = find_source(transferability_scores["chosen"], backbones), class_names(manifest)
    key = content_key(
        inputs={"source": source.identity, "classes": classes},
        parameters=[model],
        modules=["medical_transfer.models"],
    )

    def compute(folder: Path) -> None:
        from medical_transfer.models.building import describe  # noqa: PLC0415 - brings torch

        plan = describe(source, model, classes=classes, backbones=backbones, packages_folder=folders.packages)
        write_json(folder / "plan.json", plan)

    plan: dict[str, Any] = read_json(once(folders.models / "plans", key, compute) / "plan.json")
    return plan
