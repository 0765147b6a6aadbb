"""What holds for every test: one thread, nothing of the machine's own cache; and the real images, unpacked."""

from __future__ import annotations

import os
import tarfile
from collections.abc import Callable
from pathlib import Path

import pytest

SHARED_DATA = Path(__file__).resolve().parents[2] / "shared/data"

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


@pytest.fixture(scope="session")
def shared_set(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Path]:
    """Where a set of ../shared/data lies: the npz, or the one folder of a tar, unpacked once and inside its place.

    The test is skipped where the set is not there.
    """
    unpacked: dict[str, Path] = {}

    def place_of(name: str) -> Path:
        archive, tar = SHARED_DATA / f"{name}.npz", SHARED_DATA / f"{name}.tar"
        if archive.exists():
            return archive
        if not tar.exists():
            pytest.skip(f"needs {name} in ../shared/data")
        if name not in unpacked:
            folder = tmp_path_factory.mktemp(name)
            with tarfile.open(tar) as members:
                members.extractall(folder, filter="data")
            (unpacked[name],) = folder.iterdir()
        return unpacked[name]

    return place_of
