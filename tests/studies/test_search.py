"""The sequence of settings of a search, with trials that cost nothing."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import pytest

from medical_transfer.config.study_tuning import StudyTuning
from medical_transfer.studies import search as searched
from medical_transfer.studies.search import Known, Search, search_in_process
from medical_transfer.studies.settings import from_text
from medical_transfer.studies.trials import Done, Failure, Measured, Trial

pytest.importorskip("optuna", reason="needs the extra `distributed`")

RATE = "training.finetune.learning_rate"
SPACE = {RATE: {"low": 1e-5, "high": 1e-3, "log": True}, "model.freeze": {"choices": ["all", "partial"]}}
OWN = Known({RATE: 1e-4, "model.freeze": "partial"}, 0.5)


class Root:
    """Stands for the folder of a study: trials that it holds are finished."""

    name = "s"

    def __init__(self) -> None:
        self.root, self.finished, self.ran = Path("nowhere"), set[str](), list[str]()


def value_of(trial: Trial) -> float:
    """Best at a rate of 3e-4 with everything frozen; seeds differ by a constant."""
    setting = from_text(trial.setting)
    rate = setting[RATE]
    assert isinstance(rate, float)
    return 0.9 - 0.1 * abs(math.log10(rate / 3e-4)) - 0.2 * (setting["model.freeze"] != "all") + 0.01 * trial.seed


@pytest.fixture
def place(monkeypatch: pytest.MonkeyPatch) -> Root:
    root = Root()

    def attempt(place: Root, key: str, trial: Trial, handed: Any) -> Done:
        if key not in place.finished:
            place.ran.append(key)
            place.finished.add(key)
        value = value_of(trial)
        return Done(key, trial, 1.0, (Measured("val_auroc", value, value, value, 9), Measured("auroc", 0, 0, 0, 9)))

    monkeypatch.setattr(searched, "attempt", attempt)
    monkeypatch.setattr(searched, "key_of", lambda _place, trial, _handed: f"{trial.setting},{trial.seed}")
    monkeypatch.setattr(searched, "is_whole", lambda path: path.name in root.finished)
    return root


def search_of(place: Root, trials: int, **more: Any) -> Search:
    study = StudyTuning(space=SPACE, trials=trials, random_trials=4, seeds=[0, 1], **more)
    return Search(place, study, {0: {}, 1: {}})  # type: ignore[arg-type]


def sequence(search: Search, own: Known = OWN) -> list[str]:
    return [outcomes[0].trial.setting for outcomes in search_in_process(search, own)]


def test_a_search_that_was_killed_draws_the_same_and_runs_only_what_is_missing(place: Root) -> None:
    undisturbed = sequence(search_of(place, 12))
    assert len(undisturbed) == 11
    place.finished.clear()
    draws = search_in_process(search_of(place, 12), OWN)
    for _ in range(5):
        next(draws)
    draws.close()
    place.ran.clear()
    assert sequence(search_of(place, 12)) == undisturbed
    assert place.ran == [f"{setting},{seed}" for setting in undisturbed[5:] for seed in (0, 1)]


def test_more_trials_go_on_with_a_finished_search(place: Root) -> None:
    first = sequence(search_of(place, 6))
    assert sequence(search_of(place, 9))[:5] == first
    assert sequence(search_of(place, 6, sampler_seed=1)) != first


def test_it_learns(place: Root) -> None:
    """Values at random: half of 0.2 lower, rates 0.5 decades off."""
    trials = [Trial("tried", text, 0) for text in sequence(search_of(place, 40))]
    early, late = ([value_of(each) for each in part] for part in (trials[:10], trials[-20:]))
    assert sum(late) / len(late) > sum(early) / len(early) + 0.03
    assert max(late) > 0.89


def test_a_setting_is_judged_by_its_validation_mean_over_all_seeds(place: Root) -> None:
    search = search_of(place, 2)
    trials = [Trial("tried", "x", seed) for seed in (0, 1)]
    done = [Done("k", trial, 1.0, (Measured("val_auroc", 0.5 + trial.seed, 0, 1, 9),)) for trial in trials]
    assert search.judge([*done]) == 1.0
    assert search.judge([done[0], Failure("k", trials[1], 1.0, "no")]) is None
    assert search.judge([done[0], Done("k", trials[1], 1.0, (Measured("val_auroc", None, None, None, 9),))]) is None


def test_a_setting_that_fails_teaches_nothing_and_the_search_goes_on(
    place: Root, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    inner = searched.attempt

    def attempt(place: Any, key: str, trial: Trial, handed: Any) -> Done | Failure:
        done = inner(place, key, trial, handed)
        return Failure(key, trial, 1.0, "The loss became nan.") if "freeze=all" in trial.setting else done

    monkeypatch.setattr(searched, "attempt", attempt)
    assert len(sequence(search_of(place, 12))) == 11
    assert "failed: The loss became nan." in caplog.text


def test_an_own_setting_outside_of_the_space_is_no_point_of_it(place: Root) -> None:
    assert len(sequence(search_of(place, 4), Known({RATE: 1e-2, "model.freeze": "none"}, 0.4))) == 3
