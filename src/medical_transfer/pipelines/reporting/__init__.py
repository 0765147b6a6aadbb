"""Reporting: one self-contained page that a clinician can read."""

from medical_transfer.pipelines.reporting.pipeline import create_pipeline

__all__ = ["create_pipeline"]
