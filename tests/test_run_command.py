"""Options of `kedro run` that cannot be meant, and a run that is told to stop."""

from __future__ import annotations

import re
import signal
import time
from pathlib import Path
from typing import Any

import click
import pytest
from click.testing import CliRunner
from kedro.framework.startup import bootstrap_project

from medical_transfer import run_command
from medical_transfer.run_command import check_choice, check_runner, run
from medical_transfer.runtime.provenance import PROJECT
from medical_transfer.types import UserError

PLAIN: dict[str, Any] = {"pipeline": None, "pipelines": []} | {name: [] for name in run_command.FILTERS}

CHOICES: dict[str, tuple[dict[str, Any], str | None]] = {
    "the main job": ({}, None),
    "two stages": ({"pipelines": ["training", "evaluation"]}, None),
    "a node": ({"pipeline": "training", "node_names": ["training.train_and_calibrate"]}, None),
    "no such pipeline": ({"pipeline": "nope"}, r"no pipeline 'nope': expected one of __default__, augmentation, .*\.$"),
    "a slip": ({"pipelines": ["training", "evaluatoin"]}, r"no pipeline 'evaluatoin': .* Did you mean 'evaluation'\?"),
    "no such node": (
        {"node_names": ["nope"]},
        r"nodes named \['nope'\]: `kedro registry describe medical_transfer` lists",
    ),
    "no such tag": ({"pipelines": ["split"], "tags": ["nope"]}, "contains no nodes .*`kedro registry describe split`"),
    "no such start": ({"from_nodes": ["nope"]}, r"nodes named \['nope'\]"),
    "no such output": ({"to_outputs": ["nope"]}, r"datasets named \['nope'\]"),
    "no such namespace": ({"namespaces": ["nope"]}, r"namespaces: \['nope'\]"),
}


@pytest.mark.parametrize("case", CHOICES)
def test_what_is_chosen_exists(case: str) -> None:
    bootstrap_project(PROJECT)
    options, sentence = CHOICES[case]
    if sentence is None:
        check_choice(PLAIN | options)
        return
    with pytest.raises(UserError, match=sentence) as caught:
        check_choice(PLAIN | options)
    assert "\n" not in str(caught.value)


def test_a_runner_exists() -> None:
    for name in (None, "SequentialRunner", "kedro.runner.ThreadRunner"):
        check_runner(name)
    for name in ("Nope", "no.such.Runner", "kedro.runner.Nope"):
        with pytest.raises(UserError, match=f"no runner '{name}'"):
            check_runner(name)


OPTIONS = {
    "a comma in a path": ("--params=images.root=/d/a,b", "`b` must contain a key .* A comma ends a value: "),
    "an open bracket": ("--params=images.root=[x", "value of --params, or the file of --config, is no YAML"),
    "a sign at the front": ("--params=images.root=@x", "put a value that begins with a sign in quotes"),
    "no block": ("x: 1", r"file of --config cannot be used \(KeyError\('run'\)\): expected one block `run:`"),
    "a list": ("- a", "file of --config cannot be used .*expected one block `run:`"),
    "a number": ("run: 3", "file of --config cannot be used .*expected one block `run:`"),
    "an open file": ("run: [", "file of --config, is no YAML"),
}


@pytest.mark.parametrize("case", OPTIONS)
def test_options_that_cannot_be_read_are_one_sentence(tmp_path: Path, case: str) -> None:
    given, sentence = OPTIONS[case]
    if not given.startswith("--"):
        (tmp_path / "given.yml").write_text(given, encoding="utf-8")
        given = f"--config={tmp_path / 'given.yml'}"
    done = CliRunner().invoke(run, [given])
    assert done.exit_code in (1, 2)
    assert isinstance(done.exception, SystemExit)
    *_, last = done.output.splitlines()
    assert re.search(sentence, last), last


def test_a_run_that_missed_its_stop_is_told_again(monkeypatch: pytest.MonkeyPatch) -> None:
    """Python drops what is raised in a destructor, so one signal is not enough."""
    monkeypatch.setattr(run_command, "AGAIN_S", 0.05)
    before, missed, until = signal.getsignal(signal.SIGTERM), 0, time.monotonic() + 10
    with (
        pytest.raises(click.ClickException, match=r"stopped from outside"),
        run_command._stoppable(),
    ):
        for number in range(2):
            try:
                if number == 0:
                    signal.raise_signal(signal.SIGTERM)
                while time.monotonic() < until:
                    time.sleep(0.01)
            except KeyboardInterrupt:
                missed += 1
        while time.monotonic() < until:
            time.sleep(0.01)
    assert missed == 2
    assert signal.getsignal(signal.SIGTERM) is before
    assert signal.getitimer(signal.ITIMER_REAL) == (0.0, 0.0)
