"""Domain distance: how far the second site's images are from the first's under one backbone, and whether by chance."""

from medical_transfer.pipelines.domain_distance.pipeline import create_pipeline

__all__ = ["create_pipeline"]
