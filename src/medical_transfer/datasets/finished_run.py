"""The way into a finished run from a notebook or a script: its catalog, by the same names as in the pipelines."""

from __future__ import annotations

import os
from typing import cast

from kedro.framework.session import KedroSession
from kedro.framework.startup import bootstrap_project
from kedro.io import DataCatalog

from medical_transfer.runtime.provenance import PROJECT
from medical_transfer.types import UserError

RUN_ROOT = "MEDICAL_TRANSFER_RUN_ROOT"
"""Environment variable that names the root of another run than the default one."""

LAST_OUTPUT = "report"


def open_finished_run(run_root: str | None = None) -> DataCatalog:
    """Open the catalog of a run of the main job.

    Args:
        run_root: where the run wrote its results, relative to the project or absolute; None: what the environment
            variable `MEDICAL_TRANSFER_RUN_ROOT` says, else the default of `conf/base/globals.yml`.

    Raises:
        UserError: there is no finished run.
    """
    root = run_root or os.environ.get(RUN_ROOT)
    bootstrap_project(PROJECT)
    session = KedroSession.create(PROJECT, runtime_params={"run_root": root} if root else {})
    with session:
        catalog = cast("DataCatalog", session.load_context().catalog)
    if not catalog.exists(LAST_OUTPUT):
        place = getattr(catalog.get(LAST_OUTPUT), "_filepath", LAST_OUTPUT)  # datasets have no public name for it
        raise UserError(
            f"There is no finished run: {place} does not exist. Run the main job first "
            f"(kedro run --pipeline=medical_transfer), or name the root of a run in {RUN_ROOT}."
        )
    return catalog
