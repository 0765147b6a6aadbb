from __future__ import annotations

import warnings
from pathlib import Path

import numpy as np
import pytest
from kedro.framework.session import KedroSession
from kedro.framework.startup import bootstrap_project
from PIL import Image

from medical_transfer.runtime.provenance import PROJECT

SIDE, PER_CLASS = 48, 24


def write_images(root: Path) -> Path:
    """Bright discs and dark ones on noise, in class folders, and one file that is no image."""
    rng = np.random.default_rng(3)
    y, x = np.mgrid[:SIDE, :SIDE]
    for label, light in (("bright", 60), ("dark", -60)):
        (root / label).mkdir(parents=True)
        for number in range(PER_CLASS):
            centre, radius = rng.uniform(14, 34, size=2), rng.uniform(6, 12)
            disc = (x - centre[0]) ** 2 + (y - centre[1]) ** 2 < radius**2
            grey = rng.normal(110, 25, (SIDE, SIDE)) + light * disc
            Image.fromarray(grey.clip(0, 255).astype(np.uint8)).save(root / label / f"{number:02d}.png")
    (root / "dark/notes.png").write_text("no image", encoding="utf-8")
    return root


@pytest.fixture(scope="session")
def notebook_run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Root of a finished run of the main job on discs."""
    root = tmp_path_factory.mktemp("notebook_run")
    given = {
        "run_root": str(root / "data"),
        "images": {"kind": "folder", "root": str(write_images(root / "images")), "size": SIDE},
        "transferability": {"sources": ["random"], "folds": 2},
    }
    bootstrap_project(PROJECT)
    with warnings.catch_warnings(), KedroSession.create(PROJECT, env="test", runtime_params=given) as session:
        warnings.filterwarnings("ignore", module=r"kedro\b")
        session.run(pipeline_names=["medical_transfer"])
    return root / "data"
