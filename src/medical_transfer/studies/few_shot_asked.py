"""What studies of few-shot learning share: meta-training with its costs, test episodes, and what is kept of a trial.

A finished trial is kept in `<run_root>/studies/<name>/<key>`, and a killed one goes on from its last round. What is
counted as time is this process's processor time, which other programs on the machine do not lengthen.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TypeVar

from medical_transfer.data.episodes import Shape, TaskSet
from medical_transfer.evaluation.episodes import Judged
from medical_transfer.methods.episodic import Episodic
from medical_transfer.runtime.devices import device
from medical_transfer.runtime.files import read_json, write_json
from medical_transfer.runtime.memory import peak_megabytes, start_counting
from medical_transfer.runtime.seeds import derive_seed
from medical_transfer.runtime.stage import once
from medical_transfer.studies.attempt import RESULT, is_end, sentence_of
from medical_transfer.studies.few_shot_budgets import KINDS, UNTRAINED, Asked, budget_of
from medical_transfer.studies.few_shot_names import MEMORY, TRAINING, accuracy, adaptation, skipped
from medical_transfer.studies.time_left import TimeLeft
from medical_transfer.studies.trials import Done, Failure, Measured, Trial, from_json, to_json
from medical_transfer.training.meta_train import meta_train, new_method
from medical_transfer.types import Interval, UserError

logger = logging.getLogger(__name__)

SEED = 0
"""Of the test episodes, which are the same for all trials."""

Learned = TypeVar("Learned")
Found = tuple[float, tuple[Measured, ...]]
"""Seconds of a trial's training, and its numbers."""


def learn(study: Asked, trial: Trial, train: TaskSet, val: TaskSet, folder: Path) -> Episodic:
    """The method of a trial after its meta-training; plain distillation has none."""
    kind, meta = KINDS.get(trial.method, trial.method), budget_of(study, trial.method)
    if trial.method == UNTRAINED:
        return new_method("meta_distill", meta, train, seed=trial.seed).to(device())
    return meta_train(kind, meta, train, val, seed=trial.seed, folder=folder)  # type: ignore[arg-type]


def with_costs(learned: Callable[[], Learned]) -> tuple[Learned, float, list[Measured]]:
    """What was learned, the seconds that it took, and these beside the memory as numbers of the trial."""
    start_counting()
    started_s = time.process_time()
    found = learned()
    spent_s, peak = time.process_time() - started_s, peak_megabytes()
    return found, round(spent_s, 2), [plain(TRAINING, spent_s), plain(MEMORY, peak)]


def tested(study: Asked, judged_on: Callable[..., Judged], shots: int) -> tuple[Judged, list[Measured]]:
    """Answers to the test episodes with so many images of each class, and their numbers.

    Args:
        study: ways, queries and how many episodes.
        judged_on: takes `shape, episodes, seed`.
        shots: images of each class to learn from.
    """
    shape = Shape(study.meta_learning.ways, shots, study.queries)
    started_s = time.process_time()
    judged = judged_on(shape=shape, episodes=study.episodes, seed=derive_seed(SEED, "test episodes"))
    task_ms = 1000 * (time.process_time() - started_s) / study.episodes
    return judged, [
        measured(accuracy(shots), judged.interval(), study.episodes - len(judged.skipped)),
        plain(adaptation(shots), task_ms, study.episodes),
        plain(skipped(shots), len(judged.skipped), study.episodes),
    ]


def kept(root: Path, key: str, trial: Trial, run: Callable[[Path], Found]) -> Done | Failure:
    """The trial from its folder, where it is run first unless it is finished; a failure is no end of the study.

    Raises:
        Exception: where the study was told to stop or the disk is full.
    """
    started_s = time.perf_counter()

    def compute(folder: Path) -> None:
        write_json(folder / RESULT, to_json(Done(key, trial, *run(folder))))

    try:
        return from_json(read_json(once(root, key, compute) / RESULT))
    except Exception as error:
        if is_end(error):
            raise
        return Failure(key, trial, round(time.perf_counter() - started_s, 2), sentence_of(error))


def in_turn(
    name: str, trials: Sequence[Trial], attempt: Callable[[Trial], Done | Failure]
) -> tuple[list[Done], list[Failure]]:
    """All trials of study `name` one after the other.

    Raises:
        UserError: no trial ended well.
    """
    clock, outcomes = TimeLeft(name, trials), list[Done | Failure]()
    for trial in trials:
        started_s = time.perf_counter()
        outcomes.append(attempt(trial))
        if isinstance(outcomes[-1], Failure):
            logger.warning("Study %s: trial %s failed: %s", name, trial, outcomes[-1].sentence)
        clock.tell(trial, time.perf_counter() - started_s)
    done = [each for each in outcomes if isinstance(each, Done)]
    failures = [each for each in outcomes if isinstance(each, Failure)]
    if not done:
        raise UserError(f"No trial of study {name} ended well; the first said: {failures[0].sentence}")
    return done, failures


def measured(metric: str, found: Interval, n: int) -> Measured:
    """A number with its interval."""
    return Measured(metric, found.estimate, found.low, found.high, n)


def plain(metric: str, value: float | None, n: int = 1) -> Measured:
    """A number without one."""
    return Measured(metric, value, None, None, n)
