"""The same search on Ray: Ray Tune tries several settings at once, and Optuna draws them as earlier ones end.

Which settings are drawn depends on which end first, so a search that is given again does not draw the same ones: it is
told of those that are finished instead, and they count among its trials.
"""

from __future__ import annotations

import logging
import math
import tempfile
from collections.abc import Mapping
from typing import Any

from medical_transfer.config.blocks import flatten
from medical_transfer.config.studies import Studies
from medical_transfer.runtime.files import read_json
from medical_transfer.studies.attempt import RESULT, sentence_of
from medical_transfer.studies.on_ray import be_a_worker, died, ray_started, trials_at_once
from medical_transfer.studies.runner import warn_of
from medical_transfer.studies.search import TRIED, Known, Outcomes, Search, Tried, sampler
from medical_transfer.studies.settings import Setting, distributions, is_inside, settled
from medical_transfer.studies.time_left import TimeLeft
from medical_transfer.studies.trials import Done, Failure, from_json
from medical_transfer.types import UserError

JUDGED = "judged"


def search_on_ray(search: Search, own: Known, studies: Studies) -> list[Outcomes]:
    """Try settings, several at once.

    Returns:
        The outcomes of each setting, those that were finished before first.

    Raises:
        UserError: where a trial says that the whole study must end.
    """
    finished = finished_settings(search)
    found = [search.outcomes_of(setting) for setting in finished]
    more = search.study.trials - 1 - len(finished)
    if more <= 0:
        return found
    known = [own, *(Known(setting, search.judge(each)) for setting, each in zip(finished, found, strict=True))]
    with ray_started(studies) as ray:
        return found + _tune(ray, search, known, studies, more)


def finished_settings(search: Search) -> list[Setting]:
    """Settings that this search has finished under all seeds, found in the folders of their trials."""
    settings: dict[str, Setting] = {}
    for path in sorted(search.place.root.glob(f"*/{RESULT}")):
        trial = from_json(read_json(path)).trial
        setting = flatten(trial.parameters)
        if trial.method == TRIED and is_inside(setting, search.study.space):
            settings.setdefault(trial.setting, {name: setting[name] for name in search.study.space})
    return [setting for _, setting in sorted(settings.items()) if search.is_finished(setting)]


def try_in_worker(config: Mapping[str, Any], search: Search, cpus: int) -> None:
    """A setting in a process of Ray Tune, which is told what came of it.

    Raises:
        RuntimeError: where it failed, so that the sampler learns nothing from it.
    """
    from ray import tune  # noqa: PLC0415 - an extra

    be_a_worker(cpus)
    try:
        outcomes = search.outcomes_of(settled(flatten(config), search.study.space))
    except Exception as error:  # noqa: BLE001 - told to the process that runs the study, and raised there
        tune.report({JUDGED: math.nan, "ending": sentence_of(error)})
        return
    judged = search.judge(outcomes)
    failures = {each.trial_id: each.sentence for each in outcomes if isinstance(each, Failure)}
    tune.report({JUDGED: math.nan if judged is None else judged, "failures": failures})
    if judged is None:
        raise RuntimeError("no mean over all seeds")


def _tune(ray: Any, search: Search, known: list[Known], studies: Studies, more: int) -> list[Outcomes]:
    from ray import tune  # noqa: PLC0415 - an extra
    from ray.tune.search.optuna import OptunaSearch  # noqa: PLC0415

    logging.getLogger("ray.tune").setLevel(logging.CRITICAL)
    told = [each for each in known if each.judged is not None and is_inside(each.setting, search.study.space)]
    algorithm = OptunaSearch(
        distributions(search.study.space),
        metric=JUDGED,
        mode="max",
        sampler=sampler(search.study, drawn_before=len(known) - 1),
        points_to_evaluate=[dict(each.setting) for each in told] or None,
        evaluated_rewards=[each.judged for each in told] or None,
    )
    room = {"cpu": studies.cpus_per_trial, "gpu": studies.gpus_per_trial}
    task = tune.with_parameters(try_in_worker, search=search, cpus=studies.cpus_per_trial)
    clock = TimeLeft(search.place.name, [Tried({}, None)] * more, trials_at_once(ray, studies))
    watch = _watch(search, clock)
    with tempfile.TemporaryDirectory() as folder:  # what Tune writes of its own; results lie in folders of trials
        results = tune.Tuner(
            tune.with_resources(task, room),
            tune_config=tune.TuneConfig(search_alg=algorithm, num_samples=more),
            run_config=tune.RunConfig(
                storage_path=folder, name=search.place.name, verbose=0, callbacks=[watch], stop=watch.stopper
            ),
        ).fit()
    if watch.ending:
        raise UserError(watch.ending)
    return [_outcomes(search, each) for each in results]


def _watch(search: Search, clock: TimeLeft) -> Any:
    """What Tune calls as trials end: tells the time left, and ends the search where a trial asks for it."""
    from ray.tune import Callback, Stopper  # noqa: PLC0415 - an extra

    class Watch(Callback):  # type: ignore[misc]  # untyped base
        ending = ""

        def __init__(self) -> None:
            watch = self

            class Stop(Stopper):  # type: ignore[misc]  # untyped base
                def __call__(self, trial_id: str, result: dict[str, Any]) -> bool:  # noqa: ARG002 - Tune's signature
                    return False

                def stop_all(self) -> bool:
                    return bool(watch.ending)

            self.stopper = Stop()

        def on_trial_result(self, iteration: int, trials: list[Any], trial: Any, result: dict[str, Any]) -> None:  # noqa: ARG002
            self.ending = result.get("ending", "") or self.ending

        def on_trial_complete(self, iteration: int, trials: list[Any], trial: Any, **_: Any) -> None:  # noqa: ARG002
            self._tell(trial, trial.last_result[JUDGED])

        def on_trial_error(self, iteration: int, trials: list[Any], trial: Any, **_: Any) -> None:  # noqa: ARG002
            self._tell(trial, None)

        def _tell(self, trial: Any, judged: float | None) -> None:
            seconds = float(trial.last_result.get("time_total_s", math.nan))
            clock.tell(Tried(settled(flatten(trial.config), search.study.space), judged), seconds)

    return Watch()


def _outcomes(search: Search, result: Any) -> Outcomes:
    """What came of a setting: finished trials from their folders, the others with their sentences."""
    metrics: dict[str, Any] = result.metrics or {}
    failures: dict[str, str] = metrics.get("failures", {})
    setting = settled(flatten(result.config), search.study.space)
    if not failures and search.is_finished(setting):
        return search.outcomes_of(setting)
    outcomes: Outcomes = []
    for key, trial in search.trials_of(setting).items():
        path = search.place.root / key / RESULT
        ended: Done | Failure = (
            from_json(read_json(path))
            if path.exists() and key not in failures
            else Failure(key, trial, math.nan, failures.get(key, died(result.error or RuntimeError("stopped"))))
        )
        warn_of(search.place, ended)
        outcomes.append(ended)
    return outcomes
