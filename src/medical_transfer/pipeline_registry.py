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
    compare,
    distillation,
    domain_distance,
    drift,
    evaluation,
    evidence,
    explain,
    few_shot,
    ingestion,
    layer_choice,
    model_building,
    predict,
    reporting,
    split,
    training,
    transferability,
    validate,
)
from medical_transfer.pipelines.site import TARGET
from medical_transfer.studies import adaptation as adaptation_study
from medical_transfer.studies import distillation as distillation_study
from medical_transfer.studies import few_shot as few_shot_study
from medical_transfer.studies import few_shot_medical as few_shot_medical_study
from medical_transfer.studies import finetuning, tuning
from medical_transfer.studies import transferability as transferability_study

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
    "evidence": evidence.create_pipeline,
    "reporting": reporting.create_pipeline,
}
"""The stages of the main job in run order."""

FIRST_SITE = ("ingestion", "split")
BOTH_SITES = (*FIRST_SITE, "target_ingestion", "target_split")

BESIDE: dict[str, tuple[tuple[str, ...], Callable[[], Pipeline]]] = {
    "layer_choice": (FIRST_SITE, layer_choice.create_pipeline),
    "domain_distance": (BOTH_SITES, domain_distance.create_pipeline),
    "compare": ((), compare.create_pipeline),
    "medical_few_shot": ((*FIRST_SITE, "transferability"), few_shot.create_pipeline),
    "medical_adaptation": ((*BOTH_SITES, "transferability", "model_building"), adaptation.create_pipeline),
    "predict": ((), predict.create_pipeline),
    "validate": ((), validate.create_pipeline),
    "medical_distillation": (
        (*BOTH_SITES, "transferability", "model_building", "training", "evaluation"),
        distillation.create_pipeline,
    ),
    "drift": ((), drift.create_pipeline),
    "explain": ((*BOTH_SITES, "transferability", "model_building", "training", "evaluation"), explain.create_pipeline),
}
"""Pipelines beside the main job, each behind the stages that make what it reads: one command on a clean clone."""

STUDIES: dict[str, Callable[[], Pipeline]] = {
    "study_adaptation": adaptation_study.create_pipeline,
    "study_distillation": distillation_study.create_pipeline,
    "study_few_shot": few_shot_study.create_pipeline,
    "study_few_shot_medical": few_shot_medical_study.create_pipeline,
    "study_finetuning": finetuning.create_pipeline,
    "study_transferability": transferability_study.create_pipeline,
    "study_tuning": tuning.create_pipeline,
}
"""Studies run stages of the main job many times."""


def register_pipelines() -> dict[str, Pipeline]:
    """All pipelines by name; `medical_transfer` is the main job and the default."""
    stages = {name: create_pipeline() for name, create_pipeline in STAGES.items()}
    main = sum(stages.values(), Pipeline([]))
    beside = {
        name: sum((stages[stage] for stage in behind), create_pipeline())
        for name, (behind, create_pipeline) in BESIDE.items()
    }
    studies = {name: create_pipeline() for name, create_pipeline in STUDIES.items()}
    return {"__default__": main, "medical_transfer": main, **stages, **beside, **studies}
