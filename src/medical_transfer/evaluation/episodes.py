"""Test episodes: accuracy of a method over many of them, and the time that it takes to adapt to one.

All methods are asked about the same episodes, so that they can be compared in pairs.
Shapes: E episodes, Q queries of one, C classes of one, K images of a support set, D features.
"""

from __future__ import annotations

import logging
import math
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import partial

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from medical_transfer.data.episodes import EpisodeBatch, EpisodeBatches, Shape, Task, TaskSet
from medical_transfer.data.loaders import as_float
from medical_transfer.evaluation.episode_intervals import mean_interval
from medical_transfer.methods.episodic import Episodic
from medical_transfer.runtime.devices import device
from medical_transfer.types import Interval

logger = logging.getLogger(__name__)

Answer = Callable[[Task], Tensor]
"""Logits (Q, C) of the queries of one task."""


@dataclass(frozen=True)
class Judged:
    """Accuracy of each episode (NaN where adaptation ended in no number), and seconds for one task."""

    accuracy_E: NDArray[np.float64]
    seconds_per_task: float
    skipped: tuple[str, ...] = field(default=())

    def interval(self) -> Interval:
        """Mean over episodes with its 95 % interval."""
        return mean_interval(self.accuracy_E)


def judge(answer: Answer, task_set: TaskSet, shape: Shape, *, episodes: int, seed: int) -> Judged:
    """Ask about `episodes` episodes, the same for the same seed whatever is asked.

    Raises:
        UserError: where such episodes cannot be drawn.
    """
    task_set.check(shape, "meta-test")
    accuracies, skipped, spent_s = list[float](), list[str](), 0.0
    for batch in drawn(task_set, shape, episodes=episodes, seed=seed):
        task = one_task(batch)
        started_s = time.perf_counter()
        with torch.no_grad():
            logits_QC = answer(task)
        found = bool(torch.isfinite(logits_QC).all())
        spent_s += time.perf_counter() - started_s
        right = (logits_QC.argmax(dim=1) == task.query_labels).float().mean().item()
        accuracies.append(right if found else math.nan)
        if not found:
            skipped.append(batch.names[0])
    if skipped:
        logger.warning("Adaptation ended in NaN or infinity, skipped (%d): %s", len(skipped), "; ".join(skipped[:3]))
    return Judged(np.array(accuracies), spent_s / episodes, tuple(skipped))


def judge_method(
    method: Episodic, task_set: TaskSet, shape: Shape, *, episodes: int, seed: int, steps: int | None = None
) -> Judged:
    """The same for a method after `steps` of adaptation; None: as many as its configuration says."""
    return judge(partial(method.eval().answers, steps=steps), task_set, shape, episodes=episodes, seed=seed)


def accuracy_by_step(
    method: Episodic, task_set: TaskSet, shape: Shape, *, steps: int, episodes: int, seed: int
) -> NDArray[np.float64]:
    """Accuracy (E, steps + 1) of each episode before adaptation and after each step; NaN where that is no number."""
    found = []
    for batch in drawn(task_set, shape, episodes=episodes, seed=seed):
        task = one_task(batch)
        with torch.no_grad():
            logits_SQC = method.eval().answers_by_step(task, steps)
        right_S = (logits_SQC.argmax(dim=2) == task.query_labels).double().mean(dim=1)
        right_S[~torch.isfinite(logits_SQC).all(dim=2).all(dim=1)] = torch.nan
        found.append(right_S.cpu().numpy())
    return np.stack(found)


def drawn(task_set: TaskSet, shape: Shape, *, episodes: int, seed: int) -> Iterator[EpisodeBatch]:
    """Test episodes one by one, on the device; with the same seed fewer shots are among more."""
    batches = EpisodeBatches(
        task_set, ways=shape.ways, shots=[shape.shots], queries=shape.queries, tasks=1, steps=episodes, seed=seed
    )
    for batch in batches:
        yield batch.to(device()).with_inputs(as_float)  # type: ignore[misc]


def one_task(batch: EpisodeBatch) -> Task:
    """The one episode of a batch."""
    stacked = batch.tasks()
    told = ({name: each[0] for name, each in part.items()} for part in (stacked.told, stacked.told_query))
    return Task(stacked.support[0], stacked.labels[0], stacked.query[0], stacked.query_labels[0], *told)
