"""The runner of all studies: images prepared once per seed, then trials, none repeated that is finished.

Decoded images, features and scores are shared by all trials. They run in this process one after the other, since Kedro
has one object of pipelines per process (never in threads), or several at once in processes of their own
(`studies.executor=ray`); `attempt` is the trial in both.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

from medical_transfer.config.studies import Studies
from medical_transfer.runtime.stage import is_whole
from medical_transfer.studies import main_job
from medical_transfer.studies.attempt import Handed, attempt, key_of
from medical_transfer.studies.inner_session import run_stages
from medical_transfer.studies.place import Place
from medical_transfer.studies.time_left import TimeLeft
from medical_transfer.studies.trials import Done, Failure, Trial
from medical_transfer.types import UserError

logger = logging.getLogger(__name__)

Waiting = Mapping[str, Trial]
"""Trials that are not finished, by their keys."""
Told = Callable[[Done | Failure, float], None]
"""What an executor calls after each trial, with the seconds that it took here and now."""


def prepare(place: Place, seeds: Iterable[int]) -> dict[int, dict[str, Any]]:
    """Decode, divide and choose the source, once for each seed; what is ready from before is found.

    Returns:
        seed -> the datasets `main_job.HANDED`.

    Raises:
        UserError: where the images cannot be used; no trial could.
    """
    handed = {}
    for seed in sorted(set(seeds)):
        given = place.parameters_of(place.root / "prepared" / str(seed), seed)
        handed[seed] = run_stages(place.session, main_job.PREPARED, given, wanted=main_job.HANDED)
        logger.info("Study %s: images of seed %d are divided", place.name, seed)
    return handed


def how_studies_run(place: Place) -> Studies:
    """The block `studies` of the session that a study was started in."""
    return Studies.model_validate(place.session.parameters.get("studies", {}))


def run_trials(place: Place, trials: Sequence[Trial], handed: Mapping[Any, Handed]) -> tuple[list[Done], list[Failure]]:
    """Run the trials that are not finished; one that fails is named, and the next one runs.

    Args:
        place: where the study runs.
        trials: in their order.
        handed: the datasets that trials read, by `Trial.handed`.

    Raises:
        UserError: where the run is stopped from outside, the disk is full, or not a single trial ended well.
    """
    by_key = {key_of(place, trial, handed[trial.handed]): trial for trial in trials}
    waiting = {key: trial for key, trial in by_key.items() if not is_whole(place.root / key)}
    ready = len(by_key) - len(waiting)
    logger.info("Study %s: %d trials, of which %d are finished", place.name, len(by_key), ready)
    outcomes = _run(place, waiting, handed) if waiting else {}
    for key, trial in by_key.items():
        if key not in waiting:
            outcomes[key] = attempt(place, key, trial, handed[trial.handed])
    ordered = [outcomes[key] for key in by_key]
    done = [each for each in ordered if isinstance(each, Done)]
    failures = [each for each in ordered if isinstance(each, Failure)]
    if not done:
        raise UserError(f"No trial of study {place.name} ended well; the first said: {failures[0].sentence}")
    return done, failures


def warn_of(place: Place, outcome: Done | Failure) -> None:
    """Name a trial that failed."""
    if isinstance(outcome, Failure):
        logger.warning("Study %s: trial %s failed: %s", place.name, outcome.trial, outcome.sentence)


def _run(place: Place, waiting: Waiting, handed: Mapping[Any, Handed]) -> dict[str, Done | Failure]:
    clock = TimeLeft(place.name, list(waiting.values()))
    outcomes: dict[str, Done | Failure] = {}

    def tell(outcome: Done | Failure, seconds: float) -> None:
        outcomes[outcome.trial_id] = outcome
        warn_of(place, outcome)
        clock.tell(outcome.trial, seconds)

    studies = how_studies_run(place)
    if studies.executor == "ray":
        from medical_transfer.studies.on_ray import trials_on_ray  # noqa: PLC0415 - an extra

        trials_on_ray(place, waiting, handed, studies, clock, tell)
    else:
        _one_after_the_other(place, waiting, handed, tell)
    return outcomes


def _one_after_the_other(place: Place, waiting: Waiting, handed: Mapping[Any, Handed], tell: Told) -> None:
    for key, trial in waiting.items():
        started = time.perf_counter()
        outcome = attempt(place, key, trial, handed[trial.handed])
        tell(outcome, time.perf_counter() - started)
