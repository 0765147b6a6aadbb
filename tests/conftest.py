"""What holds for every test: one thread, and nothing of the machine's own cache is read or written."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

# Before anything imports torch, so that torch-free tests stay so; subprocesses inherit it.
for variable in ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS"):
    os.environ[variable] = "1"


@pytest.fixture(scope="session", autouse=True)
def own_cache_folder(tmp_path_factory: pytest.TempPathFactory):
    """Number formats are kept in the user's cache folder: give the tests an empty one.

    Torch's and matplotlib's caches stay where they are: they hold downloads and a font list, no results.
    """
    theirs = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    with pytest.MonkeyPatch.context() as patch:
        for variable, name in (("TORCH_HOME", "torch"), ("MPLCONFIGDIR", "matplotlib")):
            if variable not in os.environ:
                patch.setenv(variable, str(theirs / name))
        patch.setenv("XDG_CACHE_HOME", str(tmp_path_factory.mktemp("cache")))
        yield
