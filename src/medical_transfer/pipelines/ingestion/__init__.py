"""Ingestion: every file found becomes an audit row, every readable image a slot of the cache."""

from medical_transfer.pipelines.ingestion.pipeline import create_pipeline

__all__ = ["create_pipeline"]
