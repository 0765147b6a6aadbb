"""Training: the planned network learns by the method that `training.kind` names."""

from medical_transfer.pipelines.training.pipeline import create_pipeline

__all__ = ["create_pipeline"]
