"""Distillation: a small student of the fine-tuned model, beside itself without a teacher, exported and quantised."""

from medical_transfer.pipelines.distillation.pipeline import create_pipeline

__all__ = ["create_pipeline"]
