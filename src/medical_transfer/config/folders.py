"""Where a run keeps what is too large to travel between nodes; all absolute paths, filled in by `conf/base`."""

from __future__ import annotations

from pathlib import Path

from medical_transfer.config.base import Block


class Folders(Block):
    """Folders of content-addressed results, each holding one folder per content key; and that of the audits."""

    packages: Path
    """Wheels that are used as data archives; shared by all runs."""
    images: Path
    """Decoded images."""
    features: Path
    """Features and activations of frozen networks."""
    scores: Path
    """Transferability scores."""
    models: Path
    """Trained models, one sub-folder per task."""
    predictions: Path
    """Predictions of trained models, one sub-folder per task."""
    audits: Path
    """Where the catalog keeps the audits; for errors that point there."""
