"""Few-shot: a classifier from a few images of each class, and how far such ones differ."""

from medical_transfer.pipelines.few_shot.pipeline import create_pipeline

__all__ = ["create_pipeline"]
