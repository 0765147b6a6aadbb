"""Compare: two models on the same test images."""

from medical_transfer.pipelines.compare.pipeline import create_pipeline

__all__ = ["create_pipeline"]
