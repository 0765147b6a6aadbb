"""The record of a run in MLflow: parameters, metrics, figures, report and model; the only importer of mlflow.

mlflow is imported when a run begins, so that other commands don't pay for it, and all calls carry the run's id, so that
nothing depends on a global active run. A record that cannot be begun stops the run before its first node; one that
cannot be finished is a warning, since the results themselves are there.
"""

from __future__ import annotations

import atexit
import logging
import os
import re
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

import yaml
from kedro.framework.context import KedroContext
from kedro.framework.hooks import hook_impl
from kedro.io import DataCatalog
from kedro.pipeline import Pipeline

from medical_transfer.config.blocks import flatten
from medical_transfer.config.tracking import TrackingConfig
from medical_transfer.datasets.record_of_tests import DATASET as RECORD_OF_TESTS
from medical_transfer.datasets.record_of_tests import Reading, RecordOfTests
from medical_transfer.hooks.record_place import absolute, alone, check_database, no_record, one_line, tracking_config
from medical_transfer.hooks.run_metrics import measured
from medical_transfer.hooks.test_readings import readings, tags_of_test
from medical_transfer.models.card import TrainedModel
from medical_transfer.runtime.provenance import code_state, in_project, lock_hash
from medical_transfer.types import UserError

logger = logging.getLogger(__name__)

LONGEST_VALUE = 500
METRICS_PER_CALL, PARAMETERS_PER_CALL = 1000, 100
FIGURE_PATHS = "08_reporting"
MODELS = {
    "finetuned_model": "teacher",
    "adapted_model": "model",
    "distilled_model": "model",
    "exported_model": "exported",
}
"""Models that are kept with the record, and the folder of each where a run makes several."""


class Tracking:
    """One MLflow run per pipeline run."""

    def __init__(self) -> None:
        self.config: TrackingConfig | None = None
        self.parameters: dict[str, Any] = {}
        self.client: Any = None
        self.run_id: str | None = None
        self.experiment = ""
        self.is_parent = False

    @hook_impl
    def after_context_created(self, context: KedroContext) -> None:
        """Read `conf/*/tracking.yml`.

        Raises:
            UserError: where it holds something else than expected.
        """
        self.config = tracking_config(context.config_loader["tracking"])
        self.parameters = context.config_loader["parameters"]

    @hook_impl
    def before_pipeline_run(self, run_params: dict[str, Any], pipeline: Pipeline, catalog: DataCatalog) -> None:
        """Open the run and log the parameters; hand over the record of tests where a node asks for it.

        Raises:
            UserError: where the record cannot be written.
        """
        self._close("KILLED")  # what an interrupted run of this process has left open
        self.is_parent = False
        recorded = self.config is not None and self.config.enabled
        if RECORD_OF_TESTS in pipeline.inputs():
            catalog.save(RECORD_OF_TESTS, RecordOfTests(self._readings if recorded else None))
        if self.config is None or not recorded:
            return
        os.environ.setdefault("MLFLOW_ALLOW_PICKLE_DESERIALIZATION", "false")
        os.environ.setdefault("GIT_PYTHON_REFRESH", "quiet")
        logging.getLogger("alembic").setLevel(logging.WARNING)
        logging.getLogger("mlflow.store.db.utils").setLevel(logging.CRITICAL)  # stack traces of what it raises too
        uri = absolute(self.config.uri)
        check_database(uri)
        try:
            self._open(uri, self.config, run_params)
        except unwritable() as error:
            self._close("FAILED")
            raise UserError(no_record(error, uri, absolute(self.config.artifacts))) from error

    def _open(self, uri: str, config: TrackingConfig, run_params: dict[str, Any]) -> None:
        from mlflow.entities import Param  # noqa: PLC0415 - seconds that only a run should pay
        from mlflow.tracking import MlflowClient  # noqa: PLC0415

        with alone(uri):
            self.client = MlflowClient(tracking_uri=uri)
            self.experiment = self._experiment(config)
        self.run_id = self.client.create_run(self.experiment, tags=self._tags(run_params)).info.run_id
        atexit.unregister(self._close)
        atexit.register(self._close, "KILLED")  # Ctrl-C passes by the hooks for errors
        flat = [Param(_allowed(k), str(v)[:LONGEST_VALUE]) for k, v in flatten(self.parameters).items()]
        for start in range(0, len(flat), PARAMETERS_PER_CALL):
            self.client.log_batch(self.run_id, params=flat[start : start + PARAMETERS_PER_CALL])
        resolved = yaml.safe_dump(self.parameters, sort_keys=False, allow_unicode=True)
        self.client.log_text(self.run_id, resolved, "parameters.yml")

    @hook_impl
    def after_dataset_saved(self, dataset_name: str, data: Any) -> None:
        """Note which test images were read, as soon as they were: also a run that fails later has read them."""
        if self.run_id is None:
            return
        with _warned("which test images were read is"):
            for name, value in tags_of_test(dataset_name, data).items():
                self.client.set_tag(self.run_id, name, value)

    def _readings(self, test_set: str) -> list[Reading] | None:
        """All runs of the experiment that read these test images; null where the record does not answer."""
        found: list[Reading] = []
        with _warned("how often the test images were read is") as answered:
            found = readings(self.client, self.experiment, test_set)
        return found if answered else None

    @hook_impl
    def after_pipeline_run(self, pipeline: Pipeline, catalog: DataCatalog) -> None:
        """Log what the run produced, not what earlier runs left in the same place, and close it."""
        if self.run_id is None:
            return
        self._log_results(catalog, {*pipeline.all_outputs(), "timing"})
        self._close("FINISHED")

    @hook_impl
    def on_pipeline_error(self, error: Exception) -> None:
        """Close the run as failed, with the reason."""
        if self.run_id is None:
            return
        with _warned("the reason why the run failed is"):
            self.client.set_tag(self.run_id, "error", f"{type(error).__name__}: {error}"[:LONGEST_VALUE])
        stopped = isinstance(error.__cause__, SystemExit)  # training has said so in a sentence
        self._close("KILLED" if stopped else "FAILED")

    def as_parent(self) -> str:
        """The run's id for runs that belong to it; empty where runs are not recorded."""
        self.is_parent = True
        return self.run_id or ""

    def _close(self, status: str) -> None:
        if self.run_id is None:
            return
        with _warned(f"the end of run {self.run_id}, {status}, is"):
            self.client.set_terminated(self.run_id, status)
            if self.is_parent:
                self._close_children(self.run_id)
        self.run_id = None  # only now: a second stop before it leaves the run to be closed at exit

    def _close_children(self, run_id: str) -> None:
        """Trials whose processes died with the study, or before it, could not close their runs themselves."""
        experiment = self.client.get_run(run_id).info.experiment_id
        open_ones = f"tags.`mlflow.parentRunId` = '{run_id}' and attributes.status = 'RUNNING'"
        for child in self.client.search_runs([experiment], filter_string=open_ones):
            self.client.set_terminated(child.info.run_id, "KILLED")

    def _experiment(self, config: TrackingConfig) -> str:
        found = self.client.get_experiment_by_name(config.experiment)
        if found is not None:
            return str(found.experiment_id)
        artifacts = absolute(config.artifacts)
        return str(self.client.create_experiment(config.experiment, artifact_location=artifacts))

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
        """Log results one after the other; where the record takes no more, say what is left out."""
        made = {name for name in outputs if name in catalog and catalog.exists(name)}
        steps: dict[str, Callable[[], None]] = {"metrics": partial(self._log_metrics, catalog, made)}
        for path in sorted({file for name in made for file in _files(catalog, name)}):
            steps[path.name] = partial(self.client.log_artifact, self.run_id, str(path), "reporting")
        models = [name for name in MODELS if name in made]
        for name in models:
            steps[name] = partial(self._log_model, catalog, name, MODELS[name] if len(models) > 1 else "model")
        names = list(steps)
        for done, log in enumerate(steps.values()):
            root = in_project(str(self.parameters["run_root"]))
            with _warned(f"all results are in {root}, but {', '.join(names[done:])} are") as written:
                log()
            if not written:
                return

    def _log_metrics(self, catalog: DataCatalog, made: set[str]) -> None:
        from mlflow.entities import Metric  # noqa: PLC0415

        metrics = [Metric(_allowed(name), value, _now_ms(), step) for name, value, step in measured(catalog, made)]
        for start in range(0, len(metrics), METRICS_PER_CALL):
            self.client.log_batch(self.run_id, metrics=metrics[start : start + METRICS_PER_CALL])

    def _log_model(self, catalog: DataCatalog, name: str, place: str) -> None:
        model = catalog.load(name)
        if not self.parameters["tracking"]["parent_run_id"]:  # hundreds of trials, each with its weights, fill a disk
            self.client.log_artifacts(self.run_id, str(model.folder), place)
        if isinstance(model, TrainedModel):
            self.client.set_tag(self.run_id, "data_fingerprint", model.card.data_fingerprint)


def unwritable() -> tuple[type[Exception], ...]:
    """What a full disk, a lost server or a broken database raise through mlflow."""
    from mlflow.exceptions import MlflowException  # noqa: PLC0415
    from sqlalchemy.exc import SQLAlchemyError  # noqa: PLC0415

    return (OSError, MlflowException, SQLAlchemyError)


def _files(catalog: DataCatalog, name: str) -> list[Path]:
    place = getattr(catalog.get(name), "_filepath", None)
    path = Path(str(place)) if place is not None else None
    return [path] if path is not None and FIGURE_PATHS in path.parts and path.is_file() else []


@contextmanager
def _warned(lost: str) -> Iterator[list[bool]]:
    """Go on where the record cannot be written, with a warning; yields a list that is filled where it was."""
    written: list[bool] = []
    try:
        yield written
        written.append(True)
    except unwritable() as error:
        advice = "Free some space or mend the record; the same command, given again, records finished results."
        logger.warning("MLflow: %s not recorded (%s). %s", lost, one_line(error), advice)


def _allowed(name: str) -> str:
    """A name as MLflow takes it: class names in it may hold anything."""
    return re.sub(r"[^\w./\- :]|/(?=[/.]|$)", "_", name)


def _now_ms() -> int:
    return int(time.time() * 1000)
