"""A session inside a node of another one: stages of the project under other parameters and their own root.

Kedro's hooks are objects of the project's settings, one of each per process: a second session would share them, close
the first one's record and let go its lock. So an inner session has hooks of its own.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from kedro.framework.hooks import hook_impl
from kedro.framework.project import settings
from kedro.framework.session import KedroSession
from kedro.io import DataCatalog
from pluggy import PluginManager

from medical_transfer.hooks.one_run import OneRun
from medical_transfer.hooks.this_session import SessionFacts, ThisSession
from medical_transfer.runtime.provenance import PROJECT

PACKAGE = "medical_transfer"


@dataclass(frozen=True)
class Stages:
    """Stages by name, cut down to what `outputs` need."""

    names: tuple[str, ...]
    outputs: tuple[str, ...]


@dataclass(eq=False)
class Handover:
    """A hook that gives an inner session datasets which it does not make, and takes some that it made."""

    given: Mapping[str, Any]
    wanted: tuple[str, ...]
    taken: dict[str, Any] = field(default_factory=dict)

    @hook_impl(trylast=True)
    def before_pipeline_run(self, catalog: DataCatalog) -> None:
        """Save what is given, once the run has its root to itself."""
        for name, data in self.given.items():
            catalog.save(name, data)

    @hook_impl
    def after_pipeline_run(self, catalog: DataCatalog) -> None:
        """Load what is wanted."""
        self.taken = {name: catalog.load(name) for name in self.wanted}


def run_stages(
    outer: SessionFacts,
    stages: Stages,
    parameters: Mapping[str, Any],
    *,
    given: Mapping[str, Any] | None = None,
    wanted: tuple[str, ...] = (),
) -> dict[str, Any]:
    """Run stages in a session like `outer` under further parameters.

    Args:
        outer: the session that this one is started from; its environment and `--params` hold here too.
        stages: what is run.
        parameters: nested as in `conf`, over those of `outer`; `run_root` must be among them.
        given: datasets that the stages read and do not make.
        wanted: datasets to return.

    Returns:
        The wanted datasets by name.

    Raises:
        UserError: what the stages raise.
    """
    handover = Handover(given or {}, wanted)
    options: dict[str, Any] = {"env": outer.env, "conf_source": outer.conf_source}
    session: Any = KedroSession.create(PROJECT, runtime_params=merged(outer.runtime_params, parameters), **options)
    with _quiet(), session:
        one_run = _own_hooks(session._hook_manager, handover)  # Kedro offers no other way to it
        try:
            session.run(pipeline_names=list(stages.names), to_outputs=list(stages.outputs))
        finally:
            one_run.on_pipeline_error()  # Ctrl-C passes by the hooks for errors, and the process may live on
    return handover.taken


def merged(*blocks: Mapping[str, Any]) -> dict[str, Any]:
    """Nested mappings over one another, the last one on top; lists are values."""
    found: dict[str, Any] = {}
    for block in blocks:
        for name, value in block.items():
            inside = found.get(name)
            nested = isinstance(inside, Mapping) and isinstance(value, Mapping)
            found[name] = merged(inside or {}, value) if nested else value
    return found


def _own_hooks(manager: PluginManager, handover: Handover) -> OneRun:
    """Register new hooks in place of the project's; returns the one that holds the lock."""
    own: list[object] = [type(hook)() for hook in settings.HOOKS if not isinstance(hook, ThisSession)]
    for hook in settings.HOOKS:
        manager.unregister(hook)
    for hook in (*own, handover):
        manager.register(hook)
    return next(hook for hook in own if isinstance(hook, OneRun))


@contextmanager
def _quiet() -> Iterator[None]:
    """The study tells of its trials; the lines of their nodes would bury that."""
    logger = logging.getLogger(PACKAGE)
    level = logger.level
    logger.setLevel(logging.WARNING)
    try:
        yield
    finally:
        logger.setLevel(level)
