"""Validate: a finished model on new labelled images, without training."""

from medical_transfer.pipelines.validate.pipeline import create_pipeline

__all__ = ["create_pipeline"]
