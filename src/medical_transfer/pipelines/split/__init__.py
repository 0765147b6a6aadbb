"""Split: patients and near-duplicates become groups, whole groups are drawn to train, val and test."""

from medical_transfer.pipelines.split.pipeline import create_pipeline

__all__ = ["create_pipeline"]
