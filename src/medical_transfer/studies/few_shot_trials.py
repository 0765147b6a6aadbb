"""One trial of the study of few-shot learning: a method is meta-trained, then asked about the test episodes of all.

A finished trial is kept in `<run_root>/studies/few_shot/<key>`, and a killed one goes on from its last round. What is
counted as time is this process's processor time, which other programs on the machine do not lengthen.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from medical_transfer.config.few_shot import MetaKind, MetaLearning
from medical_transfer.config.study_few_shot import StudyFewShot
from medical_transfer.data.episodes import Shape, TaskSet
from medical_transfer.evaluation.episode_intervals import mean_interval
from medical_transfer.evaluation.episodes import accuracy_by_step, judge_method
from medical_transfer.methods.episodic import Episodic
from medical_transfer.runtime.devices import device
from medical_transfer.runtime.files import read_json, write_json
from medical_transfer.runtime.memory import peak_megabytes, start_counting
from medical_transfer.runtime.seeds import derive_seed
from medical_transfer.runtime.stage import content_key, once
from medical_transfer.studies.attempt import RESULT, is_end, sentence_of
from medical_transfer.studies.few_shot_characters import Parts
from medical_transfer.studies.few_shot_names import MEMORY, TRAINING, accuracy, adaptation, after, skipped
from medical_transfer.studies.few_shot_teacher import told_features
from medical_transfer.studies.trials import Done, Failure, Measured, Trial, from_json, to_json
from medical_transfer.training.meta_train import meta_train, new_method
from medical_transfer.types import Interval

KINDS: dict[str, MetaKind] = {
    "fo_maml": "maml",
    "plain_distillation": "meta_distill",
    "meta_distillation": "meta_distill",
}
"""Kind of meta-learning of a method, where it has another name."""
TAUGHT = ("plain_distillation", "meta_distillation")
MODULES = tuple(
    f"medical_transfer.{name}"
    for name in (
        *("data.episodes", "data.omniglot", "layers", "losses.kd", "methods", "models.episode_networks"),
        *("training", "evaluation.episodes", "studies.few_shot_trials", "studies.few_shot_teacher"),
        "studies.few_shot_characters",
    )
)
SEED = 0
"""Of the test episodes, which are the same for all trials."""


@dataclass(frozen=True)
class Given:
    """What all trials share: the block, what the drawings are, their three parts, and where trials are kept."""

    study: StudyFewShot
    facts: dict[str, object]
    parts: Parts
    root: Path

    def with_teacher(self) -> Given:
        """The same drawings with what the teacher's trunk, trained where it is not there yet, makes of them."""
        kept, training = self.study.meta_learning, self.parts[0]
        key = content_key(inputs={**self.facts, "seed": self.study.teacher_seed}, parameters=[kept], modules=MODULES)

        def compute(folder: Path) -> None:
            teacher = meta_train("prototypical", kept, *self.parts[:2], seed=self.study.teacher_seed, folder=folder)
            told = told_features(teacher.eval(), training)["features"]
            np.savez(folder / "told.npz", **{str(view): each for view, each in enumerate(told)})  # type: ignore[arg-type]

        with np.load(once(self.root / "teacher", key, compute) / "told.npz") as held:
            told = {"features": tuple(held[str(view)] for view in range(training.views))}
        train, val, test = (part.told(told) for part in self.parts)
        return Given(self.study, self.facts, (train, val, test), self.root)


def key_of(given: Given, trial: Trial) -> str:
    """The key of a trial's folder: drawings, parameters and the source text of what makes it."""
    inputs = {"facts": given.facts, "trial": [trial.method, trial.setting, trial.seed]}
    read = given.study.model_copy(update={"methods": [], "seeds": [], "seeds_prototypical": [], "characters": None})
    return content_key(inputs=inputs, parameters=[read], modules=MODULES)


def attempt(given: Given, trial: Trial) -> Done | Failure:
    """The trial from its folder, where it is run first unless it is finished; a failure is no end of the study."""
    key, started_s = key_of(given, trial), time.perf_counter()

    def compute(folder: Path) -> None:
        done = Done(key, trial, *_run(given, trial, folder))
        write_json(folder / RESULT, to_json(done))

    try:
        return from_json(read_json(once(given.root, key, compute) / RESULT))
    except Exception as error:
        if is_end(error):
            raise
        return Failure(key, trial, round(time.perf_counter() - started_s, 2), sentence_of(error))


def _run(given: Given, trial: Trial, folder: Path) -> tuple[float, tuple[Measured, ...]]:
    start_counting()
    started_s = time.process_time()
    method = _learn(given, trial, folder)
    spent_s, peak = time.process_time() - started_s, peak_megabytes()
    found = [_plain(TRAINING, spent_s), _plain(MEMORY, peak)]
    for shots in given.study.shots:
        found += _tested(given.study, method, given.parts[2], shots)
    return round(spent_s, 2), (*found, *_curve(given.study, method, given.parts[2]))


def _learn(given: Given, trial: Trial, folder: Path) -> Episodic:
    kind, meta = KINDS.get(trial.method, trial.method), budget_of(given.study, trial.method)
    train, val, _ = given.parts
    if trial.method == "plain_distillation":
        return new_method("meta_distill", meta, train, seed=trial.seed).to(device())
    return meta_train(kind, meta, train, val, seed=trial.seed, folder=folder)  # type: ignore[arg-type]


def budget_of(study: StudyFewShot, method: str) -> MetaLearning:
    """Episodes and budget of one method."""
    other: dict[str, dict[str, Any]] = {
        "fo_maml": {"maml": study.fo_maml},
        "plain_distillation": {"meta_distill": study.plain_distillation},
    }
    return study.meta_learning.model_copy(update=other.get(method, {}))


def _tested(study: StudyFewShot, method: Episodic, test: TaskSet, shots: int) -> list[Measured]:
    shape = Shape(study.meta_learning.ways, shots, study.queries)
    seed = derive_seed(SEED, "test episodes")
    started_s = time.process_time()
    judged = judge_method(method, test, shape, episodes=study.episodes, seed=seed)
    task_ms = 1000 * (time.process_time() - started_s) / study.episodes
    return [
        _measured(accuracy(shots), judged.interval(), study.episodes - len(judged.skipped)),
        _plain(adaptation(shots), task_ms, study.episodes),
        _plain(skipped(shots), len(judged.skipped), study.episodes),
    ]


def _curve(study: StudyFewShot, method: Episodic, test: TaskSet) -> list[Measured]:
    shape = Shape(study.meta_learning.ways, study.curve_shots, study.queries)
    seed = derive_seed(SEED, "test episodes")
    found_ES = accuracy_by_step(method, test, shape, steps=study.curve_steps, episodes=study.curve_episodes, seed=seed)
    sound_S = np.isfinite(found_ES).sum(axis=0)
    return [
        _measured(after(step), mean_interval(found_ES[:, step]), int(sound_S[step]))
        for step in range(found_ES.shape[1])
    ]


def _measured(metric: str, found: Interval, n: int) -> Measured:
    return Measured(metric, found.estimate, found.low, found.high, n)


def _plain(metric: str, value: float | None, n: int = 1) -> Measured:
    return Measured(metric, value, None, None, n)


def run_all(given: Given, trials: Sequence[Trial], tell: Any) -> tuple[list[Done], list[Failure]]:
    """All trials one after the other; the teacher is only trained where a trial has one."""
    taught = given.with_teacher() if any(trial.method in TAUGHT for trial in trials) else given
    outcomes = []
    for trial in trials:
        started_s = time.perf_counter()
        outcomes.append(attempt(taught if trial.method in TAUGHT else given, trial))
        tell(outcomes[-1], time.perf_counter() - started_s)
    done = [each for each in outcomes if isinstance(each, Done)]
    return done, [each for each in outcomes if isinstance(each, Failure)]
