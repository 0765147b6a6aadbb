"""Drift: new images without labels beside those that a finished model was judged on."""

from medical_transfer.pipelines.drift.pipeline import create_pipeline

__all__ = ["create_pipeline"]
