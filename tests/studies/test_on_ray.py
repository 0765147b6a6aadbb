"""What is said where Ray is missing, or has no room."""

from __future__ import annotations

import sys
from types import SimpleNamespace
from typing import Any

import pytest

from medical_transfer.config.studies import Studies
from medical_transfer.runtime.cores import cores, take_share
from medical_transfer.studies.on_ray import died, ray_started, trials_at_once
from medical_transfer.studies.tuning import check_library
from medical_transfer.types import UserError


def test_without_ray_the_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "ray", None)
    with (
        pytest.raises(UserError, match=r"needs ray, which is not .*\[distributed\]"),
        ray_started(Studies()),
    ):
        pass


def test_without_optuna_the_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("medical_transfer.studies.tuning.find_spec", lambda _: None)
    with pytest.raises(UserError, match=r"study_tuning needs optuna, which is not installed: .*\[distributed\]"):
        check_library()


def fake_ray(monkeypatch: pytest.MonkeyPatch, **resources: float) -> list[dict[str, Any]]:
    """A ray of one machine; returns what it was started with, and None when it was shut down."""
    calls: list[Any] = []
    ray = SimpleNamespace(
        is_initialized=lambda: False,
        init=lambda **options: calls.append(options),
        shutdown=lambda: calls.append(None),
        nodes=lambda: [{"Alive": True, "Resources": resources}, {"Alive": False, "Resources": {"CPU": 99}}],
        cluster_resources=lambda: resources,
    )
    monkeypatch.setitem(sys.modules, "ray", ray)
    return calls


@pytest.mark.parametrize(
    ("studies", "message"),
    [
        ({"cpus_per_trial": 5}, "studies.cpus_per_trial is 5, but no machine of Ray's has more than 4"),
        ({"gpus_per_trial": 0.5}, "studies.gpus_per_trial is 0.5, but no machine of Ray's has more than 0"),
    ],
)
def test_a_trial_that_would_wait_for_ever_is_refused(monkeypatch: pytest.MonkeyPatch, studies, message) -> None:
    calls = fake_ray(monkeypatch, CPU=4)
    with pytest.raises(UserError, match=message), ray_started(Studies(**studies)):
        pass
    assert calls[-1] is None, "what was started is ended"


def test_a_cluster_is_joined_where_one_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    calls = fake_ray(monkeypatch, CPU=4)
    with ray_started(Studies(address="auto")):
        pass
    with ray_started(Studies()):
        pass
    joined, _, local, _ = calls
    assert (joined["address"], "num_cpus" in joined) == ("auto", False)
    assert (local["address"], local["num_cpus"], local["include_dashboard"]) == ("local", cores(), False)
    assert joined["log_to_driver"] is local["log_to_driver"] is False


def test_a_cluster_that_is_not_there_is_one_sentence(monkeypatch: pytest.MonkeyPatch) -> None:
    fake_ray(monkeypatch, CPU=4)

    def absent(**_: Any) -> None:
        raise ConnectionError("Could not find any running\n Ray instance.")

    monkeypatch.setattr(sys.modules["ray"], "init", absent)
    with (
        pytest.raises(UserError, match=r"address is auto, but Ray cannot be started \(Could not find any runni"),
        ray_started(Studies(address="auto")),
    ):
        pass


@pytest.mark.parametrize(
    ("studies", "there", "expected"),
    [
        ({}, {"CPU": 8}, 8),
        ({"cpus_per_trial": 3}, {"CPU": 8}, 2),
        ({"gpus_per_trial": 0.5}, {"CPU": 8, "GPU": 1}, 2),
        ({"cpus_per_trial": 8}, {"CPU": 4}, 1),
    ],
)
def test_how_many_trials_run_at_once(studies, there, expected) -> None:
    assert trials_at_once(SimpleNamespace(cluster_resources=lambda: there), Studies(**studies)) == expected


def test_a_process_that_died_says_so_in_one_line() -> None:
    told = died(RuntimeError("\n The worker died unexpectedly.\nMany lines of advice.\n"))
    assert "without an answer (The worker died unexpectedly.)" in told
    assert "\n" not in told
    assert "(RuntimeError)" in died(RuntimeError())


def test_a_worker_keeps_to_its_cores(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("medical_transfer.runtime.cores._share", [])
    before = cores()
    take_share(before + 5)
    assert cores() == before
    take_share(1)
    assert cores() == 1
