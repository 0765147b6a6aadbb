"""One trial of the study of few-shot learning: a method is meta-trained, then asked about the test episodes of all.

How trials are kept and what is counted as time: `few_shot_asked`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np

from medical_transfer.config.study_few_shot import StudyFewShot
from medical_transfer.data.episodes import Shape, TaskSet
from medical_transfer.evaluation.episode_intervals import mean_interval
from medical_transfer.evaluation.episodes import accuracy_by_step, judge_method
from medical_transfer.methods.episodic import Episodic
from medical_transfer.runtime.seeds import derive_seed
from medical_transfer.runtime.stage import content_key, once
from medical_transfer.studies.few_shot_asked import (
    SEED,
    Found,
    in_turn,
    kept,
    learn,
    measured,
    tested,
    with_costs,
)
from medical_transfer.studies.few_shot_budgets import TAUGHT
from medical_transfer.studies.few_shot_characters import Parts
from medical_transfer.studies.few_shot_names import NAME, after
from medical_transfer.studies.few_shot_teacher import told_features
from medical_transfer.studies.trials import Done, Failure, Measured, Trial
from medical_transfer.training.meta_train import meta_train

MODULES = tuple(
    f"medical_transfer.{name}"
    for name in (
        *("data.episodes", "data.omniglot", "layers", "losses.kd", "methods", "models.episode_networks"),
        *("training", "evaluation.episodes", "studies.few_shot_trials", "studies.few_shot_teacher"),
        *("studies.few_shot_asked", "studies.few_shot_budgets", "studies.few_shot_characters"),
    )
)


@dataclass(frozen=True)
class Given:
    """What all trials share: the block, what the drawings are, their three parts, and where trials are kept."""

    study: StudyFewShot
    facts: dict[str, object]
    parts: Parts
    root: Path

    def with_teacher(self) -> Given:
        """The same drawings with what the teacher's trunk, trained where it is not there yet, makes of them."""
        budget, training = self.study.meta_learning, self.parts[0]
        key = content_key(inputs={**self.facts, "seed": self.study.teacher_seed}, parameters=[budget], modules=MODULES)

        def compute(folder: Path) -> None:
            teacher = meta_train("prototypical", budget, *self.parts[:2], seed=self.study.teacher_seed, folder=folder)
            told = told_features(teacher.eval(), training)["features"]
            np.savez(folder / "told.npz", **{str(view): each for view, each in enumerate(told)})  # type: ignore[arg-type]

        with np.load(once(self.root / "teacher", key, compute) / "told.npz") as held:
            told = {"features": tuple(held[str(view)] for view in range(training.views))}
        train, val, test = (part.told(told) for part in self.parts)
        return Given(self.study, self.facts, (train, val, test), self.root)


def key_of(given: Given, trial: Trial) -> str:
    """The key of a trial's folder: drawings, parameters and the source text of what makes it."""
    inputs = {"facts": given.facts, "trial": [trial.method, trial.setting, trial.seed]}
    read = given.study.model_copy(update={"methods": [], "seeds": [], "seeds_cheap": [], "characters": None})
    return content_key(inputs=inputs, parameters=[read], modules=MODULES)


def attempt(given: Given, trial: Trial) -> Done | Failure:
    """The trial from its folder, where it is run first unless it is finished; a failure is no end of the study."""
    return kept(given.root, key_of(given, trial), trial, partial(_run, given, trial))


def _run(given: Given, trial: Trial, folder: Path) -> Found:
    study, (train, val, test) = given.study, given.parts
    method, seconds, found = with_costs(lambda: learn(study, trial, train, val, folder))
    for shots in study.shots:
        found += tested(study, partial(judge_method, method, test), shots)[1]
    return seconds, (*found, *_curve(study, method, test))


def _curve(study: StudyFewShot, method: Episodic, test: TaskSet) -> list[Measured]:
    shape = Shape(study.meta_learning.ways, study.curve_shots, study.queries)
    seed = derive_seed(SEED, "test episodes")
    found_ES = accuracy_by_step(method, test, shape, steps=study.curve_steps, episodes=study.curve_episodes, seed=seed)
    sound_S = np.isfinite(found_ES).sum(axis=0)
    return [
        measured(after(step), mean_interval(found_ES[:, step]), int(sound_S[step])) for step in range(found_ES.shape[1])
    ]


def run_all(given: Given, trials: Sequence[Trial]) -> tuple[list[Done], list[Failure]]:
    """All trials one after the other; the teacher is only trained where a trial has one.

    Raises:
        UserError: no trial ended well.
    """
    taught = given.with_teacher() if any(trial.method in TAUGHT for trial in trials) else given
    return in_turn(NAME, trials, lambda trial: attempt(taught if trial.method in TAUGHT else given, trial))
