"""A small set of pictures that can be learned, and runs of the project on it."""

from __future__ import annotations

import os
import subprocess
import sys
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from kedro.framework.session import KedroSession
from kedro.framework.startup import bootstrap_project
from PIL import Image

from forked import forked
from medical_transfer.runtime.provenance import PROJECT

SIZE, PATIENTS, SHOTS = 64, 15, 2
CLASSES = ("across", "along")
BAD_FILES = {"empty.png": b"", "letter.jpg": b"Dear colleague,\n", "cut.jpg": b"\xff\xd8\xff\xe0\x00\x10JFIF\x00\x01"}
PACKAGES = PROJECT / "data/01_raw/packages"


def picture(label: str, rng: np.random.Generator) -> np.ndarray:
    """Stripes that lie (`across`) or stand (`along`), under a background and noise that have nothing to do with it."""
    waves = np.sin(np.arange(SIZE) * rng.uniform(0.9, 1.1) + rng.uniform(0, 6.3))
    stripes = np.tile(waves, (SIZE, 1))
    blobs = Image.fromarray(rng.uniform(0, 160, size=(6, 6)).astype(np.uint8))
    background = np.asarray(blobs.resize((SIZE, SIZE), Image.Resampling.BICUBIC), dtype=float)
    grey = background + 30 * (stripes.T if label == "across" else stripes) + rng.normal(45, 12, (SIZE, SIZE))
    return grey.clip(0, 255).astype(np.uint8)


def write_mini_set(root: Path) -> Path:
    """Class folders of two shots of each patient, two copies under other patients' names, and files to refuse."""
    rng = np.random.default_rng(7)
    for number, label in enumerate(CLASSES):
        folder = root / label
        folder.mkdir(parents=True)
        for patient in range(PATIENTS):
            for shot in range(SHOTS):
                Image.fromarray(picture(label, rng)).save(folder / f"p{number}{patient:02d}_{shot}.png")
        copied = np.asarray(Image.open(folder / f"p{number}00_0.png")).astype(float)
        noisy = (copied + rng.normal(0, 2, copied.shape)).clip(0, 255).astype(np.uint8)
        Image.fromarray(noisy).save(folder / f"p{number}90_0.png")
        Image.fromarray(noisy[:, ::-1]).save(folder / f"p{number}91_0.png")
    for name, content in BAD_FILES.items():
        (root / "along" / name).write_bytes(content)
    return root


def parameters(root: Path, **blocks: dict[str, Any]) -> dict[str, Any]:
    """Parameters of a run on a folder of pictures: small, with the untrained network as the only source."""
    images = {"kind": "folder", "root": str(root), "group_pattern": "p([0-9]+)_"} | blocks.pop("images", {})
    sources = {"sources": ["random"], "folds": 2} | blocks.pop("transferability", {})
    return {"images": images, "transferability": sources, **blocks}


def run(
    run_root: Path,
    given: dict[str, Any],
    *names: str,
    conf: Path | None = None,
    env: str = "test",
    wanted: Sequence[str] = (),
    first: Sequence[str] = (),
) -> Path:
    """Run pipelines (the main job where none is named) in this process; results lie below `run_root`.

    `wanted`: run no further than these outputs; a third of a small run's time is its figures and pages. `first`: begin
    at these nodes, on what is there already.
    """
    bootstrap_project(PROJECT)
    given = {"run_root": str(run_root), **given}
    source = str(conf) if conf else None
    with (
        warnings.catch_warnings(),
        KedroSession.create(PROJECT, env=env, runtime_params=given, conf_source=source) as session,
    ):
        warnings.filterwarnings("ignore", module=r"(kedro|mlflow|sqlalchemy|alembic)\b")  # their own affair
        chosen = {"to_outputs": list(wanted) or None, "from_nodes": list(first) or None}
        session.run(pipeline_names=list(names) or ["medical_transfer"], **chosen)
    return run_root


PREDICTED = ("finetuned_predictions",)


def predictions(run_root: Path) -> pd.DataFrame:
    return pd.read_parquet(run_root / "07_model_output/finetuned_predictions.parquet")


def marks(folder: Path) -> dict[str, int]:
    """Completion marks of content-addressed results, and when they were written."""
    return {str(mark.relative_to(folder)): mark.stat().st_mtime_ns for mark in folder.rglob("complete.json")}


def python(*arguments: str) -> subprocess.CompletedProcess[str]:
    """Run this Python in the project's folder."""
    return subprocess.run(
        [sys.executable, *arguments],
        cwd=PROJECT,
        env={**os.environ, "OMP_NUM_THREADS": "1", "DO_NOT_TRACK": "1"},
        capture_output=True,
        text=True,
        check=False,
        timeout=300,
    )


def kedro(*arguments: str) -> subprocess.CompletedProcess[str]:
    """Run `kedro` in the project's folder, in a process of its own."""
    return forked("-m", "kedro", *arguments)


def killed_kedro(place: str, number: int, when: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    """As `kedro`, in a process that gets SIGKILL before or after the call of that number of a function."""
    return forked("tests/pipelines/killed_kedro.py", place, str(number), when, *arguments)
