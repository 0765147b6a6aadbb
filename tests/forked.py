"""Commands in processes of their own that need not import everything first.

Most of a small run's seconds are imports. So one process for each test process imports the large libraries once, and
every command is a fork of it: as separate as any other process, and as dead by SIGKILL. What a command costs from
nothing, and what it imports, cannot be tested this way.
"""

from __future__ import annotations

import atexit
import multiprocessing
import os
import runpy
import subprocess
import sys
import tempfile
from pathlib import Path

from medical_transfer.runtime.provenance import PROJECT

PRELOADED = (
    "torch",
    "timm",
    "lightning.pytorch",
    "sklearn.linear_model",
    "matplotlib.backends.backend_agg",
    "kedro.framework.cli.cli",
    "medical_transfer.pipeline_registry",
    "medical_transfer.transferability",
)
"""What is imported once; nothing that starts threads of its own, which a fork would lose (onnxruntime)."""

TIMEOUT_S = 300


def forked(*arguments: str) -> subprocess.CompletedProcess[str]:
    """As `python *arguments` in the project's folder: `-m MODULE ...`, or a script and its arguments."""
    processes = multiprocessing.get_context("forkserver")
    processes.set_forkserver_preload(list(PRELOADED))
    env = {**os.environ, "DO_NOT_TRACK": "1"}  # of now: that of the process that is forked is older
    with tempfile.TemporaryDirectory() as folder:
        told = [Path(folder) / name for name in ("stdout", "stderr")]
        process = processes.Process(target=_run, args=(arguments, env, *told))
        process.start()
        process.join(TIMEOUT_S)
        if process.exitcode is None:
            process.kill()
            raise subprocess.TimeoutExpired(list(arguments), TIMEOUT_S)
        return subprocess.CompletedProcess(list(arguments), process.exitcode, *(path.read_text() for path in told))


def _run(arguments: tuple[str, ...], env: dict[str, str], stdout: Path, stderr: Path) -> None:
    """In the fork: become that command."""
    for number, path in ((1, stdout), (2, stderr)):
        os.dup2(os.open(path, os.O_WRONLY | os.O_CREAT), number)
    sys.stdout, sys.stderr = (open(number, "w", buffering=1, closefd=False) for number in (1, 2))  # noqa: SIM115
    os.environ.clear()
    os.environ.update(env)
    os.chdir(PROJECT)
    try:
        _start(arguments)
    finally:
        atexit._run_exitfuncs()  # a process of multiprocessing would leave them out


def _start(arguments: tuple[str, ...]) -> None:
    if arguments[0] == "-m":
        sys.argv = list(arguments[1:])
        runpy.run_module(arguments[1], run_name="__main__", alter_sys=True)
    else:
        sys.argv = list(arguments)
        sys.path.insert(0, str(Path(arguments[0]).parent))
        runpy.run_path(arguments[0], run_name="__main__")
