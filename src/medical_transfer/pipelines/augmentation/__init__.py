"""Augmentation: a sheet on which a person sees what the network will see."""

from medical_transfer.pipelines.augmentation.pipeline import create_pipeline

__all__ = ["create_pipeline"]
