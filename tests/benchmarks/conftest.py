"""The benchmarks are scripts in one folder: they import one another, and tests load them, by their plain names."""

from __future__ import annotations

import importlib.util
import sys
from collections.abc import Callable
from pathlib import Path
from types import ModuleType

import pytest

from forked import forked
from medical_transfer.runtime.provenance import PROJECT

FOLDER = PROJECT / "benchmarks"


@pytest.fixture(scope="module")
def script() -> Callable[[str], ModuleType]:
    """A benchmark as a module; what it imports from its own folder stays behind as little as the module itself."""

    def load(name: str) -> ModuleType:
        before = set(sys.modules)
        sys.path.insert(0, str(FOLDER))
        try:
            spec = importlib.util.spec_from_file_location(f"{name}_benchmark", FOLDER / f"{name}.py")
            assert spec is not None
            assert spec.loader is not None
            module = importlib.util.module_from_spec(spec)
            sys.modules[spec.name] = module  # dataclasses look their module up
            spec.loader.exec_module(module)
        finally:
            sys.path.remove(str(FOLDER))
            for known in [n for n in set(sys.modules) - before if _is_ours(sys.modules[n])]:
                if known != f"{name}_benchmark":
                    del sys.modules[known]
        return module

    return load


def _is_ours(module: ModuleType) -> bool:
    return Path(getattr(module, "__file__", None) or "/").parent == FOLDER


@pytest.fixture(scope="session")
def run_script() -> Callable[..., str]:
    """Run a benchmark as a user does and give what it prints."""

    def run(name: str, *arguments: str) -> str:
        done = forked(str(FOLDER / f"{name}.py"), *arguments)
        assert done.returncode == 0, done.stderr[-2000:]
        return done.stdout

    return run
