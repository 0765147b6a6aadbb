"""Transferability: every source is scored on the training images; the best probe is built."""

from medical_transfer.pipelines.transferability.pipeline import create_pipeline

__all__ = ["create_pipeline"]
