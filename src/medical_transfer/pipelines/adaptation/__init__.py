"""Adaptation: models without it, with several methods of it, and with the target's own labels, side by side."""

from medical_transfer.pipelines.adaptation.pipeline import create_pipeline

__all__ = ["create_pipeline"]
