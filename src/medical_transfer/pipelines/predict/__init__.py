"""Predict: new images through a finished model, to a table and a page."""

from medical_transfer.pipelines.predict.pipeline import create_pipeline

__all__ = ["create_pipeline"]
