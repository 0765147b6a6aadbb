"""The runner of all studies: trials one after the other, each in its own folder, none repeated that is finished.

A trial is stages of the main job in a session of their own, with the parameters of the study's run, those of the study
over them and those of the trial on top. Its folder `<run_root>/studies/<name>/<key>` is its run_root; the key is the
hash of all that the trial depends on, and a completion mark is written last. Decoded images, features and scores are
shared. Trials run in this process, since Kedro has one object of pipelines per process: never in threads.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from medical_transfer.config.folders import Folders
from medical_transfer.hooks.this_session import SessionFacts
from medical_transfer.runtime.files import is_full_disk, read_json, write_json
from medical_transfer.runtime.stage import content_key, is_whole, once
from medical_transfer.studies import main_job
from medical_transfer.studies.inner_session import merged, run_stages
from medical_transfer.studies.time_left import TimeLeft
from medical_transfer.studies.trials import Done, Failure, Trial, from_json, to_json
from medical_transfer.types import UserError

logger = logging.getLogger(__name__)

RESULT = "trial.json"


@dataclass(frozen=True)
class Place:
    """Where a study runs: its name, the session that it was started in, and that session's folders.

    `parameters` hold in all trials of the study, over those of the session.
    """

    name: str
    session: SessionFacts
    folders: Folders
    parameters: dict[str, Any]

    @property
    def root(self) -> Path:
        """The folder of the study's trials."""
        return self.session.run_root / "studies" / self.name

    def parameters_of(self, root: Path, seed: int, own: Mapping[str, Any] | None = None) -> dict[str, Any]:
        """Parameters of a session of this study that writes below `root`."""
        shared = ("packages", "images", "features", "scores")
        where = {
            "run_root": str(root),
            "folders": {name: str(getattr(self.folders, name)) for name in shared},
            "run": {"seed": seed},
            "tracking": {"parent_run_id": self.session.mlflow_run_id},
        }
        return merged(self.parameters, own or {}, where)


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


def run_trials(
    place: Place, trials: Sequence[Trial], handed: Mapping[int, Mapping[str, Any]]
) -> tuple[list[Done], list[Failure]]:
    """Run the trials that are not finished; one that fails is named, and the next one runs.

    Raises:
        UserError: where the run is stopped from outside, the disk is full, or not a single trial ended well.
    """
    keys = [key_of(place, trial, handed[trial.seed]) for trial in trials]
    ready = {key for key in keys if is_whole(place.root / key)}
    logger.info("Study %s: %d trials, of which %d are finished", place.name, len(keys), len(ready))
    clock = TimeLeft(place.name, [trial for key, trial in zip(keys, trials, strict=True) if key not in ready])
    done, failures = list[Done](), list[Failure]()
    for key, trial in zip(keys, trials, strict=True):
        started = time.perf_counter()
        outcome = _attempt(place, key, trial, handed[trial.seed])
        if isinstance(outcome, Done):
            done.append(outcome)
        else:
            failures.append(outcome)
        if key not in ready:
            clock.tell(trial, time.perf_counter() - started)
    if not done:
        raise UserError(f"No trial of study {place.name} ended well; the first said: {failures[0].sentence}")
    return done, failures


def key_of(place: Place, trial: Trial, handed: Mapping[str, Any]) -> str:
    """The key of a trial's folder: what it is made from, and the source text of what makes it."""
    parameters = merged(place.session.parameters, place.parameters)
    inputs = {
        "trial": [trial.method, trial.setting, trial.seed, dict(trial.parameters)],
        "parameters": main_job.shaping(parameters),
        "facts": main_job.facts_of(handed, parameters),
    }
    return content_key(inputs=inputs, parameters=[], modules=main_job.SOURCE_MODULES)


def is_end(error: BaseException | None) -> bool:
    """Whether an error is about the whole study: it was told to stop, or nothing can be written any more."""
    if is_full_disk(error):
        return True
    while error is not None and not isinstance(error, SystemExit):
        error = error.__cause__
    return error is not None


def sentence_of(error: BaseException) -> str:
    """What a failed trial says: the user's sentence where there is one among the causes, else kind and text."""
    cause: BaseException | None = error
    while cause is not None:
        if isinstance(cause, UserError):
            return str(cause)
        cause = cause.__cause__
    return " ".join(f"{type(error).__name__}: {error}".split())


def _attempt(place: Place, key: str, trial: Trial, handed: Mapping[str, Any]) -> Done | Failure:
    started = time.perf_counter()
    try:
        return _finished(place, key, trial, handed)
    except Exception as error:
        if is_end(error):
            raise
        failure = Failure(key, trial, round(time.perf_counter() - started, 2), sentence_of(error))
        logger.warning("Study %s: trial %s failed: %s", place.name, trial, failure.sentence)
        logger.debug("Trial %s", trial, exc_info=error)
        return failure


def _finished(place: Place, key: str, trial: Trial, handed: Mapping[str, Any]) -> Done:
    """The trial from its folder, where it is run first unless it is finished."""

    def compute(root: Path) -> None:
        given = place.parameters_of(root, trial.seed, trial.parameters)
        run_stages(place.session, main_job.TRIED, given, given=handed)
        measured, seconds = main_job.measured_in(root)
        write_json(root / RESULT, to_json(Done(key, trial, round(seconds, 2), tuple(measured))))
        main_job.tidy(root)

    return from_json(read_json(once(place.root, key, compute) / RESULT))
