"""Transferability: every source is scored on the training images, and one is chosen to be built."""

from medical_transfer.pipelines.transferability.pipeline import create_pipeline

__all__ = ["create_pipeline"]
