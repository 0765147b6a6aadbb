"""A search: settings drawn by a sampler, each tried under all seeds and judged by its mean validation metric.

The sampler (TPE, Bergstra et al. 2011, as Optuna has it) is seeded, and its draws depend on nothing but what it was
told. So a search that is given again draws the same settings, finds those that are finished by their keys, and goes on.
"""

from __future__ import annotations

import math
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from medical_transfer.config.study_tuning import StudyTuning
from medical_transfer.runtime.stage import is_whole
from medical_transfer.studies.attempt import Handed, attempt, key_of
from medical_transfer.studies.place import Place
from medical_transfer.studies.runner import warn_of
from medical_transfer.studies.settings import Setting, as_text, distributions, is_inside, nested, settled
from medical_transfer.studies.time_left import TimeLeft
from medical_transfer.studies.trials import Done, Failure, Trial

TRIED = "tried"
"""Method of the trials of a search."""

Outcomes = list[Done | Failure]


@dataclass(frozen=True)
class Known:
    """A setting with the mean that it was judged by; None: it failed under some seed."""

    setting: Setting
    judged: float | None


@dataclass(frozen=True)
class Search:
    """What settings are tried with: where, by which rules, and the images of each seed, without their test images."""

    place: Place
    study: StudyTuning
    handed: Mapping[int, Handed]

    def trials_of(self, setting: Setting) -> dict[str, Trial]:
        """The trials of a setting, one for each seed, by their keys."""
        trials = [Trial(TRIED, as_text(setting), seed, nested(setting)) for seed in self.study.seeds]
        return {key_of(self.place, trial, self.handed[trial.seed]): trial for trial in trials}

    def is_finished(self, setting: Setting) -> bool:
        """Whether nothing of a setting is left to be run."""
        return all(is_whole(self.place.root / key) for key in self.trials_of(setting))

    def outcomes_of(self, setting: Setting) -> Outcomes:
        """Try a setting under all seeds; what is finished is read."""
        trials = self.trials_of(setting)
        return [attempt(self.place, key, trial, self.handed[trial.seed]) for key, trial in trials.items()]

    def judge(self, outcomes: Outcomes) -> float | None:
        """Mean of the validation metric over all seeds; None where one of them failed or has none.

        Settings are compared over the same seeds, since seeds differ in how hard their images are.
        """
        name = f"val_{self.study.metric}"
        values = [each.value_of(name) if isinstance(each, Done) else math.nan for each in outcomes]
        mean = sum(values) / len(values)
        return mean if math.isfinite(mean) else None


@dataclass(frozen=True)
class Tried:
    """A setting in the log."""

    setting: Setting
    judged: float | None
    method: str = TRIED

    def __str__(self) -> str:
        told = "failed" if self.judged is None else f"{self.judged:.4f}"
        return f"{as_text(self.setting)}: {told}"


def sampler(study: StudyTuning, drawn_before: int = 0) -> Any:
    """The sampler of a study; one that goes on without its own memory must not draw the same again."""
    import optuna  # noqa: PLC0415 - an extra

    optuna.logging.set_verbosity(optuna.logging.WARNING)
    return optuna.samplers.TPESampler(seed=study.sampler_seed + drawn_before, n_startup_trials=study.random_trials)


def search_in_process(search: Search, own: Known) -> Iterator[Outcomes]:
    """Try settings one after the other.

    Args:
        search: what they are tried with.
        own: the setting of the configuration, which is the first one.

    Yields:
        The outcomes of each setting; a setting that is drawn twice is yielded twice.
    """
    import optuna  # noqa: PLC0415 - an extra

    space, study = search.study.space, optuna.create_study(direction="maximize", sampler=sampler(search.study))
    words = distributions(space)
    if own.judged is not None and is_inside(own.setting, space):
        study.add_trial(optuna.trial.create_trial(params=dict(own.setting), distributions=words, value=own.judged))
    more = search.study.trials - 1
    clock = TimeLeft(search.place.name, [Tried(own.setting, None)] * more)
    for _ in range(more):
        asked = study.ask(words)
        setting = settled(asked.params, space)
        finished, started = search.is_finished(setting), time.perf_counter()
        outcomes = search.outcomes_of(setting)
        judged = search.judge(outcomes)
        study.tell(asked, judged, state=None if judged is not None else optuna.trial.TrialState.FAIL)
        for each in outcomes:
            warn_of(search.place, each)
        if finished:
            clock.skip(Tried(setting, judged))
        else:
            clock.tell(Tried(setting, judged), time.perf_counter() - started)
        yield outcomes
