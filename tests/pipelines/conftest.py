from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch
from mini_set import parameters, run, write_mini_set


@pytest.fixture(scope="session", autouse=True)
def _one_thread() -> Iterator[None]:
    """The same arithmetic here and in subprocesses."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(os.environ, "OMP_NUM_THREADS", "1")
        yield
    torch.set_num_threads(threads)


@pytest.fixture(scope="session")
def mini_set(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_mini_set(tmp_path_factory.mktemp("mini") / "images")


@pytest.fixture(scope="session")
def finished(mini_set: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Root of one whole run that no test changes."""
    return run(tmp_path_factory.mktemp("finished"), parameters(mini_set))
