"""The table of contents: every pipeline by name, in run order.

Plain imports, no discovery: `kedro run --pipeline=X` finds composed names too, and `kedro registry list` stays quick
since no stage imports torch, lightning or mlflow before it works.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

from kedro.pipeline import Pipeline

from medical_transfer.pipelines import (
    adaptation,
    augmentation,
    evaluation,
    ingestion,
    model_building,
    reporting,
    split,
    training,
    transferability,
)
from medical_transfer.pipelines.site import TARGET
from medical_transfer.studies import finetuning, tuning

STAGES: dict[str, Callable[[], Pipeline]] = {
    "ingestion": ingestion.create_pipeline,
    "split": split.create_pipeline,
    "target_ingestion": partial(ingestion.create_pipeline, TARGET),
    "target_split": partial(split.create_pipeline, TARGET),
    "augmentation": augmentation.create_pipeline,
    "transferability": transferability.create_pipeline,
    "model_building": model_building.create_pipeline,
    "training": training.create_pipeline,
    "evaluation": evaluation.create_pipeline,
    "reporting": reporting.create_pipeline,
}
"""The stages of the main job in run order."""

TASKS: dict[str, tuple[str, Callable[[], Pipeline], tuple[str, ...]]] = {
    "medical_adaptation": (
        "adaptation",
        adaptation.create_pipeline,
        ("ingestion", "split", "target_ingestion", "target_split", "transferability", "model_building"),
    ),
}
"""Further tasks: their last stage by name, and the stages of the main job before it."""

STUDIES: dict[str, Callable[[], Pipeline]] = {
    "study_finetuning": finetuning.create_pipeline,
    "study_tuning": tuning.create_pipeline,
}
"""Studies run stages of the main job many times."""


def register_pipelines() -> dict[str, Pipeline]:
    """All pipelines by name; `medical_transfer` is the main job and the default."""
    stages = {name: create_pipeline() for name, create_pipeline in STAGES.items()}
    main = sum(stages.values(), Pipeline([]))
    studies = {name: create_pipeline() for name, create_pipeline in STUDIES.items()}
    last = {stage: create_pipeline() for stage, create_pipeline, _ in TASKS.values()}
    tasks = {
        name: sum((stages[each] for each in before), Pipeline([])) + last[stage]
        for name, (stage, _, before) in TASKS.items()
    }
    return {"__default__": main, "medical_transfer": main, **tasks, **stages, **last, **studies}
