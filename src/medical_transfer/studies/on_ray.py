"""Trials on Ray: several at once, each a task in a process of its own; the only importers of ray are here and beside.

Ray is imported and started when trials are to be run and `studies.executor` asks for it. What its processes print goes
to its own log files. A process that dies is a failed trial; a run that is stopped takes its processes with it, which
is safe at any time, since a trial goes on from its last whole epoch.
"""

from __future__ import annotations

import logging
import math
import os
import signal
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from medical_transfer.config.studies import Studies
from medical_transfer.runtime.cores import cores, take_share
from medical_transfer.studies.attempt import Handed, attempt, sentence_of
from medical_transfer.studies.place import Place
from medical_transfer.studies.time_left import TimeLeft
from medical_transfer.studies.trials import Done, Failure, Trial
from medical_transfer.types import UserError

STORE_BYTES = 200 * 2**20
"""Shared memory for what trials are given: tables and handles, no pixels."""
SETTINGS = {
    "RAY_USAGE_STATS_ENABLED": "0",
    "RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO": "1",  # a trial that asked for no GPU sees none
    "RAY_AIR_NEW_OUTPUT": "0",  # of Tune, whose newer one is not silent when told to be
    "RAY_TRAIN_ENABLE_V2_MIGRATION_WARNINGS": "0",
    "TUNE_DISABLE_AUTO_CALLBACK_LOGGERS": "1",
    "TUNE_DISABLE_SIGINT_HANDLER": "1",  # it would go on as if nothing had been asked
}


@dataclass(frozen=True)
class Ending:
    """Why the whole study ends, as a process of Ray says it: the causes of an error do not travel."""

    sentence: str


def needs_extra(what: str, library: str) -> UserError:
    """What to say where a library of the extra `distributed` is missing."""
    return UserError(
        f"{what} needs {library}, which is not installed: `python -m pip install -e '.[distributed]'` brings it."
    )


@contextmanager
def ray_started(studies: Studies) -> Iterator[Any]:
    """Ray, started or joined; one that is running in this process is left as it is.

    Raises:
        UserError: it is not installed, there is no cluster at `studies.address`, or no machine has room for a trial.
    """
    for name, value in SETTINGS.items():
        os.environ.setdefault(name, value)
    try:
        import ray  # noqa: PLC0415 - an extra
    except ImportError as error:
        raise needs_extra("studies.executor=ray (in_process does not)", "ray") from error
    if ray.is_initialized():
        _check_room(ray, studies)
        yield ray
        return
    try:
        _start(ray, studies)
        _check_room(ray, studies)
        yield ray
    finally:
        with _undisturbed():
            ray.shutdown()


def trials_at_once(ray: Any, studies: Studies) -> int:
    """How many trials there is room for."""
    there = ray.cluster_resources()
    room = int(there.get("CPU", 0)) // studies.cpus_per_trial
    if studies.gpus_per_trial:
        room = min(room, int(there.get("GPU", 0) / studies.gpus_per_trial))
    return max(room, 1)


def trials_on_ray(
    place: Place,
    waiting: Mapping[str, Trial],
    handed: Mapping[Any, Handed],
    studies: Studies,
    clock: TimeLeft,
    tell: Any,
) -> None:
    """Run the trials that wait, and tell of each as it ends, with the seconds that it took.

    Raises:
        UserError: where a trial says that the whole study must end.
    """
    with ray_started(studies) as ray:
        clock.at_once = trials_at_once(ray, studies)
        cpus, gpus = studies.cpus_per_trial, studies.gpus_per_trial
        task = ray.remote(num_cpus=cpus, num_gpus=gpus, max_retries=0)(run_in_worker)
        given = {name: ray.put(dict(each)) for name, each in handed.items()}
        running = {task.remote(place, key, trial, given[trial.handed], cpus): key for key, trial in waiting.items()}
        try:
            while running:
                (ended, *_), _ = ray.wait(list(running))
                key = running.pop(ended)
                tell(*_outcome(ray, ended, key, waiting[key]))
        finally:
            with _undisturbed():
                for each in running:  # none, unless the study ends early
                    ray.cancel(each, force=True)


def run_in_worker(
    place: Place, key: str, trial: Trial, handed: Handed, cpus: int
) -> tuple[Done | Failure | Ending, float]:
    """The trial in a process of Ray, and the seconds that it took."""
    be_a_worker(cpus)
    started = time.perf_counter()
    try:
        outcome: Done | Failure | Ending = attempt(place, key, trial, handed)
    except Exception as error:  # noqa: BLE001 - told to the process that runs the study, and raised there
        outcome = Ending(sentence_of(error))
    return outcome, time.perf_counter() - started


def be_a_worker(cpus: int) -> None:
    """Make this process ready for sessions of the project, and keep it to its cores."""
    import torch  # noqa: PLC0415 - the process that runs the study need not pay for it
    from kedro.framework.startup import bootstrap_project  # noqa: PLC0415

    from medical_transfer.runtime.provenance import PROJECT  # noqa: PLC0415

    take_share(cpus)
    torch.set_num_threads(cpus)
    bootstrap_project(PROJECT)


def _start(ray: Any, studies: Studies) -> None:
    quiet: dict[str, Any] = {"log_to_driver": False, "logging_level": logging.ERROR}
    local: dict[str, Any] = {"num_cpus": cores(), "include_dashboard": False, "object_store_memory": STORE_BYTES}
    where = {"address": "local", **local} if studies.address is None else {"address": studies.address}
    try:
        with _own_answer_to_sigterm():
            ray.init(**where, **quiet)
    except (ConnectionError, ValueError, RuntimeError) as error:
        place = f"studies.address is {studies.address}, but Ray" if studies.address else "Ray"
        raise UserError(
            f"{place} cannot be started ({' '.join(str(error).split())[:300]}): name a cluster that is running, or set "
            "studies.address=null for one on this machine."
        ) from error


@contextmanager
def _own_answer_to_sigterm() -> Iterator[None]:
    """Ray would exit at once where the run ends in order."""
    answer = signal.getsignal(signal.SIGTERM)
    try:
        yield
    finally:
        if threading.current_thread() is threading.main_thread():
            signal.signal(signal.SIGTERM, answer or signal.SIG_DFL)


def _check_room(ray: Any, studies: Studies) -> None:
    machines = [each["Resources"] for each in ray.nodes() if each["Alive"]]
    for name, wanted in (("CPU", studies.cpus_per_trial), ("GPU", studies.gpus_per_trial)):
        most = max((machine.get(name, 0) for machine in machines), default=0)
        if wanted > most:
            raise UserError(
                f"studies.{name.lower()}s_per_trial is {wanted:g}, but no machine of Ray's has more than {most:g}: "
                "a trial would wait for ever. Give a smaller number."
            )


def _outcome(ray: Any, ended: Any, key: str, trial: Trial) -> tuple[Done | Failure, float]:
    try:
        outcome, seconds = ray.get(ended)
    except ray.exceptions.RayError as error:
        return Failure(key, trial, math.nan, died(error)), math.nan
    if isinstance(outcome, Ending):
        raise UserError(outcome.sentence)
    return outcome, seconds


def died(error: BaseException) -> str:
    """What to say of a trial whose process ended without an answer."""
    first = next((line for line in str(error).splitlines() if line.strip()), type(error).__name__)
    return (
        f"Its process ended without an answer ({first.strip()[:200]}): where memory is short, run fewer at once with a "
        "larger studies.cpus_per_trial. Given again, the same command goes on with this trial."
    )


@contextmanager
def _undisturbed() -> Iterator[None]:
    """Let a run that was told to stop end in order: it is told again each second; a second Ctrl-C still cuts it off."""
    names = [getattr(signal, name) for name in ("SIGTERM", "SIGALRM") if hasattr(signal, name)]
    if not hasattr(signal, "pthread_sigmask"):
        yield
        return
    before = signal.pthread_sigmask(signal.SIG_BLOCK, names)
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
