"""Layer choice: scores of every stage of a source on the training images, and where they suggest to cut it."""

from medical_transfer.pipelines.layer_choice.pipeline import create_pipeline

__all__ = ["create_pipeline"]
