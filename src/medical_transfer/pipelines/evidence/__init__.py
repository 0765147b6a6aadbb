"""Evidence: for whom the model works, what its decisions are worth, and what could give the class away."""

from medical_transfer.pipelines.evidence.pipeline import create_pipeline

__all__ = ["create_pipeline"]
