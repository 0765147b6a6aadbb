"""The record of a run in MLflow: parameters, metrics, figures, report and model; the only importer of mlflow.

mlflow is imported when a run begins, so that other commands don't pay for it, and all calls carry the run's id, so that
nothing depends on a global active run.
"""

from __future__ import annotations

import logging
import math
import os
import re
import sqlite3
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import yaml
from filelock import FileLock
from kedro.framework.context import KedroContext
from kedro.framework.hooks import hook_impl
from kedro.io import DataCatalog
from kedro.pipeline import Pipeline

from medical_transfer.runtime.provenance import code_state, in_project, lock_hash
from medical_transfer.types import UserError

logger = logging.getLogger(__name__)

LONGEST_VALUE = 500
SQLITE = "sqlite:///"
DATABASE_WAIT_S = 20
"""So long another run may hold the database before this one gives up."""
METRICS_PER_CALL, PARAMETERS_PER_CALL = 1000, 100
FIGURE_PATHS = "08_reporting"


class Tracking:
    """One MLflow run per pipeline run."""

    def __init__(self) -> None:
        self.config: dict[str, Any] = {"enabled": False}
        self.parameters: dict[str, Any] = {}
        self.client: Any = None
        self.run_id: str | None = None

    @hook_impl
    def after_context_created(self, context: KedroContext) -> None:
        """Read `conf/*/tracking.yml`."""
        self.config = context.config_loader["tracking"]
        self.parameters = context.config_loader["parameters"]

    @hook_impl
    def before_pipeline_run(self, run_params: dict[str, Any]) -> None:
        """Open the run and log the parameters."""
        if not self.config["enabled"]:
            return
        os.environ.setdefault("MLFLOW_ALLOW_PICKLE_DESERIALIZATION", "false")
        os.environ.setdefault("GIT_PYTHON_REFRESH", "quiet")
        logging.getLogger("alembic").setLevel(logging.WARNING)
        from mlflow.entities import Param  # noqa: PLC0415 - seconds that only a run should pay
        from mlflow.tracking import MlflowClient  # noqa: PLC0415

        uri = _absolute(self.config["uri"])
        check_database(uri)
        with _alone(uri):
            self.client = MlflowClient(tracking_uri=uri)
            experiment = self._experiment()
        self.run_id = self.client.create_run(experiment, tags=self._tags(run_params)).info.run_id
        flat = [Param(_allowed(k), str(v)[:LONGEST_VALUE]) for k, v in flatten(self.parameters).items()]
        for start in range(0, len(flat), PARAMETERS_PER_CALL):
            self.client.log_batch(self.run_id, params=flat[start : start + PARAMETERS_PER_CALL])
        resolved = yaml.safe_dump(self.parameters, sort_keys=False, allow_unicode=True)
        self.client.log_text(self.run_id, resolved, "parameters.yml")

    @hook_impl
    def after_pipeline_run(self, pipeline: Pipeline, catalog: DataCatalog) -> None:
        """Log what the run produced, not what earlier runs left in the same place, and close it."""
        if self.run_id is None:
            return
        self._log_results(catalog, {*pipeline.all_outputs(), "timing"})
        self.client.set_terminated(self.run_id, "FINISHED")
        self.run_id = None

    @hook_impl
    def on_pipeline_error(self, error: Exception) -> None:
        """Close the run as failed, with the reason."""
        if self.run_id is None:
            return
        self.client.set_tag(self.run_id, "error", f"{type(error).__name__}: {error}"[:LONGEST_VALUE])
        self.client.set_terminated(self.run_id, "FAILED")
        self.run_id = None

    def _experiment(self) -> str:
        found = self.client.get_experiment_by_name(self.config["experiment"])
        if found is not None:
            return str(found.experiment_id)
        artifacts = _absolute(self.config["artifacts"])
        return str(self.client.create_experiment(self.config["experiment"], artifact_location=artifacts))

    def _tags(self, run_params: dict[str, Any]) -> dict[str, str]:
        state = code_state()
        tags = {
            "pipeline": ",".join(run_params["pipeline_names"] or ["__default__"]),
            "git_sha": state.git_sha or "",
            "git_dirty": str(state.dirty).lower(),
            "lock": lock_hash() or "",
            "seed": str(self.parameters["run"]["seed"]),
        }
        parent = self.parameters["tracking"]["parent_run_id"]
        return {**tags, "mlflow.parentRunId": parent} if parent else tags

    def _log_results(self, catalog: DataCatalog, outputs: set[str]) -> None:
        from mlflow.entities import Metric  # noqa: PLC0415

        made = {name for name in outputs if name in catalog and catalog.exists(name)}
        metrics = [Metric(_allowed(name), value, _now_ms(), step) for name, value, step in measured(catalog, made)]
        for start in range(0, len(metrics), METRICS_PER_CALL):
            self.client.log_batch(self.run_id, metrics=metrics[start : start + METRICS_PER_CALL])
        for path in sorted({file for name in made for file in _files(catalog, name)}):
            self.client.log_artifact(self.run_id, str(path), "reporting")
        if "finetuned_model" in made:
            model = catalog.load("finetuned_model")
            self.client.log_artifacts(self.run_id, str(model.folder), "model")
            self.client.set_tag(self.run_id, "data_fingerprint", model.card.data_fingerprint)


def check_database(uri: str) -> None:
    """Open the sqlite file of a record, since mlflow retries a broken one for many minutes; other addresses pass.

    Raises:
        UserError: where the file cannot be written, is locked by another program, or is no database.
    """
    if not uri.startswith(SQLITE):
        return
    path = Path(uri.removeprefix(SQLITE))
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with closing(sqlite3.connect(path, timeout=DATABASE_WAIT_S)) as database:
            database.execute("BEGIN IMMEDIATE")
            database.execute("SELECT name FROM sqlite_master").fetchall()
            database.rollback()
    except (OSError, sqlite3.Error) as error:
        raise UserError(
            f"The record of runs cannot be written to {path} ({error}): correct `uri` in conf/base/tracking.yml, free "
            "the file, or set `enabled: false` there to run without a record."
        ) from error


def flatten(parameters: dict[str, Any], prefix: str = "") -> dict[str, Any]:
    """Nested parameters as `block.name` -> value; lists stay values."""
    flat: dict[str, Any] = {}
    for name, value in parameters.items():
        if isinstance(value, dict) and value:
            flat |= flatten(value, f"{prefix}{name}.")
        else:
            flat[f"{prefix}{name}"] = value
    return flat


def measured(catalog: DataCatalog, made: set[str]) -> list[tuple[str, float, int]]:
    """Metrics of a run as (name, value, step): per epoch from the history, final ones with their intervals."""
    found: list[tuple[str, float, int]] = []
    if "finetuned_history" in made:
        for step, row in enumerate(catalog.load("finetuned_history").to_dict("records")):
            numbers = {k: v for k, v in row.items() if isinstance(v, int | float) and math.isfinite(v)}
            found += [(f"epoch/{name}", float(value), step) for name, value in numbers.items()]
    if "finetuned_evaluation" in made:
        evaluation = catalog.load("finetuned_evaluation")
        for split in ("val", "test"):
            for name, row in evaluation[split].items():
                ends = {name: row["estimate"], f"{name}_low": row["low"], f"{name}_high": row["high"]}
                found += [(f"{split}/{k}", float(v), 0) for k, v in ends.items() if v is not None]
    return found


def _files(catalog: DataCatalog, name: str) -> list[Path]:
    place = getattr(catalog.get(name), "_filepath", None)
    path = Path(str(place)) if place is not None else None
    return [path] if path is not None and FIGURE_PATHS in path.parts and path.is_file() else []


@contextmanager
def _alone(uri: str) -> Iterator[None]:
    """Runs that begin at the same time on a new sqlite file make its tables and the experiment one after the other."""
    if not uri.startswith(SQLITE):
        yield
        return
    with FileLock(f"{uri.removeprefix(SQLITE)}.lock"):
        yield


def _allowed(name: str) -> str:
    """A name as MLflow takes it: class names in it may hold anything."""
    return re.sub(r"[^\w./\- :]|/(?=[/.]|$)", "_", name)


def _absolute(uri: str) -> str:
    """A sqlite file or a folder stands relative to the project; any other address is left alone."""
    scheme, sqlite, path = uri.partition(SQLITE)
    if sqlite and not scheme:
        return f"{SQLITE}{in_project(path)}"
    return uri if "://" in uri else in_project(uri).as_uri()


def _now_ms() -> int:
    return int(time.time() * 1000)
