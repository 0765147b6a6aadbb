"""Transferability: every source is scored on the training images; the cheapest of those not told apart from the best is built."""

from medical_transfer.pipelines.transferability.pipeline import create_pipeline

__all__ = ["create_pipeline"]
