"""One trial, run in whatever process: its folder, its key, and what is said where it fails.

A trial is stages of the main job in a session of their own, with the parameters of the study's run, those of the study
over them and those of the trial on top. Its folder `<run_root>/studies/<name>/<key>` is its run_root; the key is the
hash of all that the trial depends on, and a completion mark is written last.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from medical_transfer.runtime.files import is_full_disk, read_json, write_json
from medical_transfer.runtime.stage import content_key, once
from medical_transfer.studies import main_job
from medical_transfer.studies.inner_session import merged, run_stages
from medical_transfer.studies.place import Place
from medical_transfer.studies.trials import Done, Failure, Trial, from_json, to_json
from medical_transfer.types import UserError

logger = logging.getLogger(__name__)

RESULT = "trial.json"
ALSO_MODULES = ("medical_transfer.evaluation.epochs", "medical_transfer.evaluation.embedded")
"""What measures more of a trial than the main job does, beside the function itself."""

Handed = Mapping[str, Any]
"""The datasets that a trial reads and does not make: `main_job.HANDED`."""


def key_of(place: Place, trial: Trial, handed: Handed) -> str:
    """The key of a trial's folder: what it is made from, and the source text of what makes it."""
    parameters = merged(place.session.parameters, place.parameters)
    inputs = {
        "trial": [trial.method, trial.setting, trial.seed, dict(trial.parameters)],
        "parameters": main_job.shaping(parameters),
        "facts": main_job.facts_of(handed, merged(parameters, trial.parameters)),
        "judged": place.judged,
    }
    more = (place.also.__module__, *ALSO_MODULES) if place.also else ()
    return content_key(inputs=inputs, parameters=[], modules=[*main_job.SOURCE_MODULES, *more])


def attempt(place: Place, key: str, trial: Trial, handed: Handed) -> Done | Failure:
    """The trial from its folder, where it is run first unless it is finished; a failure is no end of the study.

    Raises:
        Exception: where `is_end`.
    """
    started = time.perf_counter()
    try:
        return _finished(place, key, trial, handed)
    except Exception as error:
        if is_end(error):
            raise
        logger.debug("Trial %s", trial, exc_info=error)
        return Failure(key, trial, round(time.perf_counter() - started, 2), sentence_of(error))


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


def _finished(place: Place, key: str, trial: Trial, handed: Handed) -> Done:
    def compute(root: Path) -> None:
        given = place.parameters_of(root, trial.seed, trial.parameters)
        run_stages(place.session, main_job.TRIED, given, given=handed)
        measured, seconds = main_job.measured_in(root, place.judged)
        if place.also is not None:
            measured += place.also(root, handed, trial.seed)
        write_json(root / RESULT, to_json(Done(key, trial, round(seconds, 2), tuple(measured))))
        main_job.tidy(root)

    return from_json(read_json(once(place.root, key, compute) / RESULT))
