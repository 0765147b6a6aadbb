"""What the medical study of few-shot learning calls its trials and numbers."""

from __future__ import annotations

from collections.abc import Sequence

from medical_transfer.config.study_few_shot_medical import BASELINES
from medical_transfer.studies.few_shot_budgets import UNTRAINED
from medical_transfer.studies.few_shot_names import NAMES as META
from medical_transfer.studies.few_shot_names import accuracy

NAME = "few_shot_medical"
NAMES = {
    "nearest_centroid": "nearest centroid",
    "linear_probe": "linear probe",
    "fine_tune": "fine-tuning from random weights",
    **META,
}
SET = "set"
"""Method of the rows that say how large a set is."""
RULES = ("nearest_centroid", "linear_probe")
"""What meta-learning must beat: rules without any training but that on the support set."""


def of_set(shots: int, name: str) -> str:
    """Metric: accuracy over the test episodes of one of several sets of a modality."""
    return f"{accuracy(shots)}/{name}"


def gain(shots: int, baseline: str) -> str:
    """Metric: accuracy minus that of a baseline on the same test episodes."""
    return f"gain_{shots}_shot/{baseline}"


def meta_learned(methods: Sequence[str]) -> list[str]:
    """Those that are meta-trained."""
    return [method for method in methods if method not in (*BASELINES, UNTRAINED)]
