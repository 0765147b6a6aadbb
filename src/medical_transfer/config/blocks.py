"""All typed blocks by their names, and which parameters of a run differ from the defaults."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from medical_transfer.config.augmentation import Augmentation
from medical_transfer.config.backbones import Backbones
from medical_transfer.config.base import Block, Run
from medical_transfer.config.compare import Compare
from medical_transfer.config.domain_distance import DomainDistance
from medical_transfer.config.drift import Drift
from medical_transfer.config.evaluation import Evaluation
from medical_transfer.config.explain import Explain
from medical_transfer.config.folders import Folders
from medical_transfer.config.images import Images, TargetImages
from medical_transfer.config.layer_choice import LayerChoice
from medical_transfer.config.medical_adaptation import MedicalAdaptation
from medical_transfer.config.medical_distillation import MedicalDistillation
from medical_transfer.config.medical_few_shot import MedicalFewShot
from medical_transfer.config.model import Model
from medical_transfer.config.predict import Predict
from medical_transfer.config.split import SplitConfig
from medical_transfer.config.studies import Studies
from medical_transfer.config.study_adaptation import StudyAdaptation
from medical_transfer.config.study_distillation import StudyDistillation
from medical_transfer.config.study_few_shot import StudyFewShot
from medical_transfer.config.study_few_shot_medical import StudyFewShotMedical
from medical_transfer.config.study_finetuning import StudyFinetuning
from medical_transfer.config.study_transferability import StudyTransferability
from medical_transfer.config.study_tuning import StudyTuning
from medical_transfer.config.training import Training
from medical_transfer.config.transferability import Transferability
from medical_transfer.config.validate import Validate

BLOCKS: dict[str, type[Block]] = {
    "run": Run,
    "folders": Folders,
    "images": Images,
    "target_images": TargetImages,
    "split": SplitConfig,
    "augmentation": Augmentation,
    "transferability": Transferability,
    "domain_distance": DomainDistance,
    "layer_choice": LayerChoice,
    "backbones": Backbones,
    "model": Model,
    "training": Training,
    "evaluation": Evaluation,
    "compare": Compare,
    "medical_adaptation": MedicalAdaptation,
    "predict": Predict,
    "validate": Validate,
    "medical_distillation": MedicalDistillation,
    "drift": Drift,
    "explain": Explain,
    "medical_few_shot": MedicalFewShot,
    "studies": Studies,
    "study_adaptation": StudyAdaptation,
    "study_distillation": StudyDistillation,
    "study_few_shot": StudyFewShot,
    "study_few_shot_medical": StudyFewShotMedical,
    "study_finetuning": StudyFinetuning,
    "study_transferability": StudyTransferability,
    "study_tuning": StudyTuning,
}
"""Typed blocks of `conf/base/parameters`."""


def changed(parameters: Mapping[str, Any]) -> dict[str, str]:
    """Parameters that are not at their defaults, by full name, as text: those that decide what a run gives.

    Folders, the seed and the way in which studies run are left out; `parameters` holds valid blocks.
    """
    told: dict[str, str] = {}
    for name in sorted(BLOCKS.keys() & parameters.keys() - {"folders", "run", "studies"}):
        block = BLOCKS[name]
        given, default = (
            flatten(each.model_dump(mode="json")) for each in (block.model_validate(parameters[name]), block())
        )
        told |= {f"{name}.{field}": str(value) for field, value in given.items() if default.get(field) != value}
    return told


def flatten(parameters: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    """Nested parameters as `block.name` -> value; lists stay values."""
    flat: dict[str, Any] = {}
    for name, value in parameters.items():
        if isinstance(value, Mapping) and value:
            flat |= flatten(value, f"{prefix}{name}.")
        else:
            flat[f"{prefix}{name}"] = value
    return flat
