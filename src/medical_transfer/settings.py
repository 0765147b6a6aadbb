"""Kedro's settings: hooks and the configuration loader, nothing else."""

from __future__ import annotations

from pathlib import Path

from kedro.config import OmegaConfigLoader

from medical_transfer.hooks.guards import Guards
from medical_transfer.hooks.timing import Timing
from medical_transfer.hooks.tracking import Tracking

PROJECT = Path(__file__).parents[2]

HOOKS = (Guards(), Timing(), Tracking())
DISABLE_HOOKS_FOR_PLUGINS = ("kedro_mlflow", "kedro-viz", "kedro_viz")
"""The first would record runs a second time; kedro-viz's hook warns at every run that is not a whole one."""

CONFIG_LOADER_CLASS = OmegaConfigLoader
CONFIG_LOADER_ARGS = {
    "base_env": "base",
    "default_run_env": "local",
    "merge_strategy": {"parameters": "soft"},
    "config_patterns": {"tracking": ["tracking*"]},
    "custom_resolvers": {"project": lambda path: str(PROJECT / path)},
}
