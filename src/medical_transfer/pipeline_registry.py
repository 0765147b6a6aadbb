"""The table of contents: every pipeline by name, in run order.

Plain imports, no discovery: `kedro run --pipeline=X` finds composed names too, and `kedro registry list` stays quick
since no stage imports torch, lightning or mlflow before it works.
"""

from __future__ import annotations

from kedro.pipeline import Pipeline

from medical_transfer.pipelines import (
    augmentation,
    evaluation,
    ingestion,
    model_building,
    reporting,
    split,
    training,
    transferability,
)

STAGES = {
    "ingestion": ingestion,
    "split": split,
    "augmentation": augmentation,
    "transferability": transferability,
    "model_building": model_building,
    "training": training,
    "evaluation": evaluation,
    "reporting": reporting,
}
"""The stages of the main job in run order."""


def register_pipelines() -> dict[str, Pipeline]:
    """All pipelines by name; `medical_transfer` is the main job and the default."""
    stages = {name: stage.create_pipeline() for name, stage in STAGES.items()}
    main = sum(stages.values(), Pipeline([]))
    return {"__default__": main, "medical_transfer": main, **stages}
