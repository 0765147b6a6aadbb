"""Kedro's settings: hooks and the configuration loader, nothing else."""

from __future__ import annotations

from medical_transfer.hooks.conf_files import ConfFiles
from medical_transfer.hooks.guards import Guards
from medical_transfer.hooks.one_run import OneRun
from medical_transfer.hooks.this_session import ThisSession
from medical_transfer.hooks.timing import Timing
from medical_transfer.hooks.tracking import Tracking
from medical_transfer.runtime import provenance
from medical_transfer.types import UserError


def in_project(path: str | None) -> str:
    """A path of the configuration, relative to the project or to `~`, made absolute.

    Raises:
        UserError: where it is empty, or begins at the home folder of nobody.
    """
    if not path:
        raise UserError("run_root (or cache_root) is empty: name a folder, or leave the parameter out.")
    try:
        return str(provenance.in_project(str(path)))
    except ValueError as error:
        raise UserError(f"run_root (or cache_root): {error}.") from error


_tracking = Tracking()
HOOKS = (ThisSession(_tracking), Guards(), Timing(), _tracking, OneRun())
"""Kedro calls the last one first: no hook writes before the run has its root to itself."""
DISABLE_HOOKS_FOR_PLUGINS = ("kedro_mlflow", "kedro-viz", "kedro_viz")
"""The first would record runs a second time; kedro-viz's hook warns at every run that is not a whole one."""

CONFIG_LOADER_CLASS = ConfFiles
CONFIG_LOADER_ARGS = {
    "base_env": "base",
    "default_run_env": "local",
    "merge_strategy": {"parameters": "soft"},
    "config_patterns": {"tracking": ["tracking*"]},
    "custom_resolvers": {"project": in_project},
}
