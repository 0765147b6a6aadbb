"""`kedro run`, with a sentence instead of a stack trace for what a user can mend, and an end for a run that is stopped.

The command itself is Kedro's own; its options are looked at before it begins.
"""

from __future__ import annotations

import signal
import threading
import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from types import FrameType
from typing import Any, NoReturn

import click
import yaml
from kedro.framework.cli.project import run as kedro_run
from kedro.framework.project import pipelines
from kedro.pipeline import Pipeline
from kedro.utils import load_obj

from medical_transfer.runtime.nearest import did_you_mean
from medical_transfer.runtime.provenance import PROJECT
from medical_transfer.types import UserError

FILTERS = {
    "tags": "tags",
    "from_nodes": "from_nodes",
    "to_nodes": "to_nodes",
    "node_names": "node_names",
    "from_inputs": "from_inputs",
    "to_outputs": "to_outputs",
    "namespaces": "node_namespaces",
}
"""Options of the command that choose nodes, and what Kedro's pipelines call them."""

AGAIN_S = 1.0
"""A run that was told to stop and goes on is told again."""


class RunCommand(click.Command):
    """A command whose `UserError` is a sentence and exit status 1."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Read the command line and the file of `--config`."""
        with _sentences(), _explain_options():
            return super().parse_args(ctx, args)

    def invoke(self, ctx: click.Context) -> object:
        """Run the command."""
        warnings.filterwarnings("ignore", message="Option '--pipeline' is deprecated")  # kedro is pinned below 1.8
        with _sentences(), _stoppable():
            check_runner(ctx.params["runner"])
            check_choice(ctx.params)
            if ctx.params["conf_source"] is None and (PROJECT / "conf").is_dir():  # Kedro looks where it is started
                ctx.params["conf_source"] = str(PROJECT / "conf")
            return super().invoke(ctx)


run = RunCommand("run", callback=kedro_run.callback, params=kedro_run.params, help=kedro_run.help)


def check_choice(options: Mapping[str, Any]) -> None:
    """Check that the pipelines and nodes that the options of the command choose exist.

    Raises:
        UserError: names what does not, and what may have been meant.
    """
    names = [options["pipeline"]] if options["pipeline"] else options["pipelines"]
    known = sorted(pipelines.keys())
    for name in names:
        if name not in known:
            raise UserError(
                f"There is no pipeline '{name}': expected one of {', '.join(known)}.{did_you_mean(name, known)}"
            )
    chosen = {theirs: options[ours] for ours, theirs in FILTERS.items() if options[ours]}
    if not chosen:
        return
    whole = sum((pipelines[name] for name in names or ["__default__"]), Pipeline([]))
    try:
        whole.filter(**chosen)
    except ValueError as error:
        listed = " or ".join(f"`kedro registry describe {name}`" for name in names or ["medical_transfer"])
        raise UserError(f"{str(error).strip().removesuffix('.')}: {listed} lists what there is.") from error


def check_runner(name: str | None) -> None:
    """Check that a runner of this name can be imported.

    Raises:
        UserError: where it cannot.
    """
    try:
        load_obj(name or "SequentialRunner", "kedro.runner")
    except (ImportError, AttributeError, ValueError) as error:
        raise UserError(
            f"There is no runner '{name}' ({error}): leave --runner out, or name one of kedro.runner."
        ) from error


@contextmanager
def _sentences() -> Iterator[None]:
    try:
        yield
    except Exception as error:  # Kedro wraps what a dataset raises
        mendable = _user_error(error)
        if mendable is None:
            raise
        raise click.ClickException(str(mendable)) from error


def _user_error(error: BaseException | None) -> UserError | None:
    """The first `UserError` among an error and its causes."""
    while error is not None and not isinstance(error, UserError):
        error = error.__cause__
    return error


@contextmanager
def _explain_options() -> Iterator[None]:
    """Say what is wrong with `--params` or the file of `--config`.

    Raises:
        UserError: where one of them cannot be read.
    """
    try:
        yield
    except click.UsageError as error:
        if "must contain a key and a value" in error.message:
            advice = "A comma ends a value: write paths and lists that have one into conf/local/parameters.yml."
            raise click.UsageError(f"{error.message} {advice}", error.ctx) from error
        raise
    except yaml.MarkedYAMLError as error:
        raise UserError(
            f"A value of --params, or the file of --config, is no YAML ({error.problem}): put a value that begins with "
            "a sign in quotes, or write it into conf/local/parameters.yml."
        ) from error
    except (LookupError, TypeError, AttributeError) as error:
        raise UserError(
            f"The file of --config cannot be used ({error!r}): expected one block `run:` with options of the command, "
            "such as `run: {pipelines: ingestion, params: {run: {seed: 1}}}`."
        ) from error


@contextmanager
def _stoppable() -> Iterator[None]:
    """Let SIGTERM end a run as Ctrl-C does: in order, so that nothing is left locked or recorded as running.

    Raises:
        ClickException: where the run was stopped.
    """
    numbers = [getattr(signal, name) for name in ("SIGTERM", "SIGALRM") if hasattr(signal, name)]
    here = threading.current_thread() is threading.main_thread()
    before = {number: signal.signal(number, _stop) for number in numbers} if here else {}
    try:
        yield
    except KeyboardInterrupt as stop:
        raise click.ClickException(
            "The run was stopped from outside. What was finished is kept: give the same command again, it goes on from "
            "there."
        ) from stop
    finally:
        _stop_again_in(0)
        for number, handler in before.items():
            signal.signal(number, handler or signal.SIG_DFL)


def _stop(number: int, frame: FrameType | None) -> NoReturn:  # noqa: ARG001 - as Python calls it
    _stop_again_in(AGAIN_S)
    raise KeyboardInterrupt


def _stop_again_in(seconds: float) -> None:
    """Python drops what is raised while it clears memory, so one signal may pass unheard; 0: no more."""
    if hasattr(signal, "setitimer"):
        signal.setitimer(signal.ITIMER_REAL, seconds)
