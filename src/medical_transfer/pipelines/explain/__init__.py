"""Explanations: where the model looks on test images, and whether such maps can be trusted."""

from medical_transfer.pipelines.explain.pipeline import create_pipeline

__all__ = ["create_pipeline"]
