"""Evaluation: predictions of the trained model, metrics with intervals, and the curves behind them."""

from medical_transfer.pipelines.evaluation.pipeline import create_pipeline

__all__ = ["create_pipeline"]
