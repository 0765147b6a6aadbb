"""What a study must know of the session that it runs in, to start sessions like it: handed to its node as a dataset."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from kedro.framework.context import KedroContext
from kedro.framework.hooks import hook_impl
from kedro.io import DataCatalog
from kedro.pipeline import Pipeline

from medical_transfer.hooks.tracking import Tracking
from medical_transfer.runtime.provenance import in_project

DATASET = "this_session"


@dataclass(frozen=True)
class SessionFacts:
    """A session as it was started.

    Attributes:
        env: the environment of `conf`; None: the default one.
        conf_source: the folder of the configuration.
        runtime_params: what `--params` said.
        parameters: all parameters as they came out.
        run_root: where the session writes, absolute.
        mlflow_run_id: its record; empty where runs are not recorded.
    """

    env: str | None
    conf_source: str
    runtime_params: dict[str, Any]
    parameters: dict[str, Any]
    run_root: Path
    mlflow_run_id: str


class ThisSession:
    """Saves the facts where a node of the run asks for them."""

    def __init__(self, tracking: Tracking) -> None:
        self.tracking, self.conf_source, self.parameters = tracking, "", dict[str, Any]()

    @hook_impl
    def after_context_created(self, context: KedroContext) -> None:
        """Remember the configuration."""
        self.conf_source = str(context.config_loader.conf_source)
        self.parameters = context.config_loader["parameters"]

    @hook_impl
    def before_pipeline_run(self, run_params: dict[str, Any], pipeline: Pipeline, catalog: DataCatalog) -> None:
        """Hand over the facts, now that the record of the run has its number."""
        if DATASET in pipeline.inputs():
            facts = SessionFacts(
                env=run_params["env"],
                conf_source=self.conf_source,
                runtime_params=dict(run_params["runtime_params"] or {}),
                parameters=self.parameters,
                run_root=in_project(str(self.parameters["run_root"])),
                mlflow_run_id=self.tracking.as_parent(),
            )
            catalog.save(DATASET, facts)
