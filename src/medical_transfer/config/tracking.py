"""Where runs are recorded: `conf/*/tracking.yml`, not a block of the parameters."""

from __future__ import annotations

from medical_transfer.config.base import Block


class TrackingConfig(Block):
    """The record of runs in MLflow."""

    enabled: bool
    """Record runs at all."""
    uri: str
    """Address of the record; a sqlite file or a folder is taken relative to the project."""
    artifacts: str
    """Where files of a new experiment are kept, likewise."""
    experiment: str
    """Name of the experiment."""
