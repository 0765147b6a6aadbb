"""One trial of the medical study of few-shot learning: a method on one fold under one seed, and the differences.

How trials are kept and what is counted as time: `few_shot_asked`. Beside its numbers a trial keeps the accuracy of each
test episode; these are the same for all methods of a fold, so that methods are compared in pairs.
Shapes: E episodes, D features.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
from numpy.typing import NDArray

from medical_transfer.config.few_shot import META_KINDS, MetaLearning
from medical_transfer.config.study_few_shot_medical import BASELINES, StudyFewShotMedical
from medical_transfer.data.episodes import Shape, Task, TaskSet
from medical_transfer.evaluation.episode_intervals import mean_interval
from medical_transfer.evaluation.episodes import Answer, drawn, judge, judge_method
from medical_transfer.evaluation.few_shot_baselines import answer
from medical_transfer.runtime.devices import device
from medical_transfer.runtime.seeds import derive_seed
from medical_transfer.runtime.stage import content_key
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
from medical_transfer.studies.few_shot_budgets import CHEAP, KINDS, budget_of
from medical_transfer.studies.few_shot_medical_names import NAME, RULES, gain, of_set
from medical_transfer.studies.few_shot_medical_sets import MARK, Fold
from medical_transfer.studies.trials import Done, Failure, Measured, Trial
from medical_transfer.training.meta_train import feature_scale

MODULES = tuple(
    f"medical_transfer.{name}"
    for name in (
        *("data.episodes", "layers", "losses.kd", "methods", "models.episode_networks", "training"),
        *("evaluation.episodes", "evaluation.few_shot_baselines"),
        *("studies.few_shot_asked", "studies.few_shot_budgets", "studies.few_shot_medical_trials"),
    )
)
EPISODES = "episodes.parquet"


@dataclass(frozen=True)
class Given:
    """What all trials share: the block, the folds by modality, what their rows are, and where trials are kept."""

    study: StudyFewShotMedical
    folds: Mapping[str, Fold]
    facts: str
    root: Path


def digest_of(whole: TaskSet) -> str:
    """A hash of all features, classes and patients, for keys of trials."""
    told = [part for each in whole.rows.told_V.values() for part in each]
    found = hashlib.sha256("\n".join(whole.names_C).encode())
    for part in (*whole.rows.views_V, *told, whole.rows.labels_N, whole.groups_N):
        found.update(np.ascontiguousarray(part).tobytes())
    return found.hexdigest()


def grid(study: StudyFewShotMedical, folds: Sequence[Fold]) -> list[Trial]:
    """One trial for each fold, method and seed."""
    return [
        Trial(method, fold.modality, seed)
        for fold in folds
        for method in study.methods
        for seed in _seeds_of(study, method)
    ]


def _seeds_of(study: StudyFewShotMedical, method: str) -> list[int]:
    """Baselines draw no first weights, so that one seed is enough."""
    if method in BASELINES:
        return study.seeds[:1]
    return study.seeds_cheap if method in CHEAP else study.seeds


def run_all(given: Given, trials: Sequence[Trial]) -> tuple[list[Done], list[Failure]]:
    """All trials one after the other, with the differences to the rules that no method should be below.

    Raises:
        UserError: no trial ended well.
    """
    done, failures = in_turn(NAME, trials, partial(attempt, given))
    rules = {(each.trial.setting, each.trial.method): each for each in done if each.trial.method in RULES}
    return [_with_gains(given, each, rules) for each in done], failures


def attempt(given: Given, trial: Trial) -> Done | Failure:
    """The trial from its folder, where it is run first unless it is finished; a failure is no end of the study."""
    return kept(given.root, key_of(given, trial), trial, partial(_run, given, trial))


def key_of(given: Given, trial: Trial) -> str:
    """The key of a trial's folder: features, classes of the fold, what is asked, and the source text of what makes it.

    Budgets of other methods are no part of it.
    """
    study, parts = given.study, given.folds[trial.setting].parts
    inputs = {
        "features": given.facts,
        "classes": [list(part.classes) for part in parts],
        "trial": [trial.method, trial.setting, trial.seed],
        "asked": [list(study.shots), study.queries, study.episodes],
    }
    return content_key(inputs=inputs, parameters=[_read(study, trial.method)], modules=MODULES)


def _read(study: StudyFewShotMedical, method: str) -> MetaLearning:
    meta, mine = budget_of(study, method), KINDS.get(method, method)
    others: dict[str, Any] = {kind: type(meta.budget_of(kind))() for kind in META_KINDS if kind != mine}
    return meta.model_copy(update=others)


def _run(given: Given, trial: Trial, folder: Path) -> Found:
    study, (train, val, test) = given.study, given.folds[trial.setting].parts
    if trial.method in BASELINES:
        rule, seconds, found = with_costs(lambda: _rule(trial.method, train, study.meta_learning.ways))
        judged_on = partial(judge, rule, test)
    else:
        method, seconds, found = with_costs(lambda: learn(study, trial, train, val, folder))
        judged_on = partial(judge_method, method, test)
    accuracies = dict[str, NDArray[np.float64]]()
    for shots in study.shots:
        judged, numbers = tested(study, judged_on, shots)
        found += [*numbers, *_by_set(study, test, shots, judged.accuracy_E)]
        accuracies[str(shots)] = judged.accuracy_E
    pd.DataFrame(accuracies).to_parquet(folder / EPISODES, index=False)
    return seconds, tuple(found)


def _rule(name: str, train: TaskSet, ways: int) -> Answer:
    """A baseline on features that are standardised as those of the networks are: by the images of meta-training."""
    mean_D, std_D = (each.to(device()) for each in feature_scale(train))

    def answers(task: Task) -> torch.Tensor:
        support, query = ((each - mean_D) / std_D for each in (task.support, task.query))
        return answer(name, support, task.labels, query, ways=ways)

    return answers


def _by_set(study: StudyFewShotMedical, test: TaskSet, shots: int, accuracy_E: NDArray[np.float64]) -> list[Measured]:
    """Accuracy of each of several sets."""
    if len(test.domains()) == 1:
        return []
    shape = Shape(study.meta_learning.ways, shots, study.queries)
    batches = drawn(test, shape, episodes=study.episodes, seed=derive_seed(SEED, "test episodes"))
    sets_E = np.array([batch.names[0].split(MARK)[0] for batch in batches])
    return [
        measured(of_set(shots, name), mean_interval(accuracy_E[sets_E == name]), int((sets_E == name).sum()))
        for name in test.domains()
    ]


def _with_gains(given: Given, done: Done, rules: Mapping[tuple[str, str], Done]) -> Done:
    """With the mean difference to each rule on the same episodes."""
    mine, found = done.trial, list[Measured]()
    for name in RULES:
        if name != mine.method and (rule := rules.get((mine.setting, name))):
            tables = [pd.read_parquet(given.root / each.trial_id / EPISODES) for each in (done, rule)]
            for shots in given.study.shots:
                gain_E = (tables[0][str(shots)] - tables[1][str(shots)]).to_numpy(dtype=float)
                found.append(measured(gain(shots, name), mean_interval(gain_E), int(np.isfinite(gain_E).sum())))
    return replace(done, measured=(*done.measured, *found))
