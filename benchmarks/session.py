"""Stages of the main job in this process, for benchmarks whose sides are processes of their own."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from medical_transfer.runtime.provenance import PROJECT


def run_stages(parameters: dict[str, Any], stages: Iterable[str]) -> None:
    """Run stages under runtime parameters in the environment of the tests, in which MLflow records nothing."""
    from kedro.framework.session import KedroSession  # noqa: PLC0415 - only the child of a benchmark needs it
    from kedro.framework.startup import bootstrap_project  # noqa: PLC0415

    bootstrap_project(PROJECT)
    with KedroSession.create(PROJECT, env="test", runtime_params=parameters) as session:
        session.run(pipeline_names=list(stages))
