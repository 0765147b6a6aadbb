"""Expensive results are kept in folders named by what went into them.

The key of a result is the hash of its inputs, its typed parameters and the source text of the modules that make it
(not of the git commit: a change of the docs must not retrain). A completion mark is written last, so a folder under
its final name is whole; a run that was killed leaves a partial folder that the next one may go on from.
"""

from __future__ import annotations

import hashlib
import json
import logging
import shutil
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from filelock import FileLock
from pydantic import BaseModel

from medical_transfer.runtime.files import explain_full_disk, read_json, write_json

logger = logging.getLogger(__name__)

MARK = "complete.json"


@dataclass(frozen=True)
class Spent:
    """A result that was asked for: the seconds that it cost when it was computed, and whether it was ready."""

    folder: Path
    seconds: float
    reused: bool


_spent: list[Spent] = []
"""What this process asked for since the last `drain_spent`."""


def content_key(*, inputs: Mapping[str, Any], parameters: Iterable[BaseModel], modules: Iterable[str]) -> str:
    """Key of a result: 16 hexadecimal digits over inputs, parameters and source text.

    Args:
        inputs: JSON-able facts about the inputs (hashes, keys of earlier stages, names).
        parameters: the typed configurations that shape the result.
        modules: dotted names of the modules or packages whose source makes the result; they are not imported.
    """
    facts = {
        "inputs": dict(inputs),
        "parameters": [p.model_dump(mode="json") for p in parameters],
        "source": {name: _source_hash(name) for name in modules},
    }
    return hashlib.sha256(json.dumps(facts, sort_keys=True).encode()).hexdigest()[:16]


def once(root: Path, key: str, compute: Callable[[Path], None]) -> Path:
    """Return the folder `root/key`; where it is not whole, let `compute` fill it first.

    `compute` receives the partial folder, which may hold what a killed run has left there. Two runs that want the same
    result don't share a file: the second waits, then finds the mark.
    """
    folder = root / key
    if is_whole(folder):
        _spent.append(Spent(folder, seconds_spent(folder), reused=True))
        return folder
    partial = root / f"{key}.partial"
    with explain_full_disk(folder):
        partial.mkdir(parents=True, exist_ok=True)
        with FileLock(root / f"{key}.lock"):
            if not is_whole(folder):
                _remove_damaged(folder)
                started = time.perf_counter()
                compute(partial)
                write_json(partial / MARK, _mark(partial, key, time.perf_counter() - started))
                partial.replace(folder)
    _spent.append(Spent(folder, seconds_spent(folder), reused=False))
    return folder


def is_whole(folder: Path) -> bool:
    """Whether the completion mark is there and every file that it names still has its size."""
    try:
        sizes: dict[str, int] = read_json(folder / MARK)["files"]
        return all((folder / name).stat().st_size == size for name, size in sizes.items())
    except (OSError, ValueError, KeyError, TypeError):
        return False


def _mark(folder: Path, key: str, seconds: float) -> dict[str, Any]:
    files = {str(path.relative_to(folder)): path.stat().st_size for path in folder.rglob("*") if path.is_file()}
    return {"key": key, "seconds": round(seconds, 3), "files": files}


def _remove_damaged(folder: Path) -> None:
    if folder.exists():
        logger.warning("%s is damaged (a file of it is missing or has another size): it is computed again", folder)
        shutil.rmtree(folder)


def seconds_spent(folder: Path) -> float:
    """Seconds that the result in `folder` cost when it was computed."""
    return float(read_json(folder / MARK)["seconds"])


def drain_spent() -> list[Spent]:
    """What `once` was asked for in this process since the last call, in the order in which it was done.

    The seconds of a result hold those of the results that it computed on its way.
    """
    told = _spent.copy()
    _spent.clear()
    return told


def _source_hash(module: str) -> str:
    spec = find_spec(module)
    if spec is None or spec.origin is None:
        raise ModuleNotFoundError(f"No source of {module}: it is named as part of a content key, but is not there")
    origin = Path(spec.origin)
    files = sorted(origin.parent.rglob("*.py")) if origin.name == "__init__.py" else [origin]
    digest = hashlib.sha256()
    for file in files:
        digest.update(file.read_bytes())
    return digest.hexdigest()
