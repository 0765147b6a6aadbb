"""Model building: the chosen source with a new head, and what of it will learn."""

from medical_transfer.pipelines.model_building.pipeline import create_pipeline

__all__ = ["create_pipeline"]
