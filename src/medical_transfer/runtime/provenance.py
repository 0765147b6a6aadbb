"""Where a result comes from: the state of the code and of the environment."""

from __future__ import annotations

import shlex
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

from medical_transfer.config.base import at_home
from medical_transfer.runtime.files import sha256_of

PROJECT = Path(__file__).parents[3]
"""The project's folder (the one with `pyproject.toml`) in a checkout."""
SETS_BESIDE = PROJECT.parent / "shared/data"
"""Where studies look for sets of images that nobody named: `../shared/data` beside the project."""


def in_project(path: str | Path) -> Path:
    """Absolute form of a path that stands relative to the project, or to the home folder where it begins with `~`."""
    return PROJECT / at_home(Path(path))


@dataclass(frozen=True)
class CodeState:
    """Commit of the checkout, null outside a repository, and whether files differ from it."""

    git_sha: str | None
    dirty: bool


def code_state() -> CodeState:
    """The commit that is checked out."""
    sha = _git("rev-parse", "HEAD")
    return CodeState(sha, dirty=bool(sha and _git("status", "--porcelain", "--untracked-files=no")))


def command_line() -> str:
    """The command that started this process, as it can be typed again."""
    program = Path(sys.argv[0])
    name = "python -m medical_transfer" if program.name == "__main__.py" else program.name
    return f"{name} {shlex.join(sys.argv[1:])}".strip()


def lock_hash() -> str | None:
    """First 16 digits of the sha256 of `requirements.lock`, null where there is none."""
    lock = PROJECT / "requirements.lock"
    return sha256_of(lock)[:16] if lock.exists() else None


def _git(*arguments: str) -> str | None:
    if not (PROJECT / ".git").exists():  # an installed package must not report the repository that it lies in
        return None
    try:
        done = subprocess.run(  # noqa: S603 - fixed words, no shell
            ["git", "-C", str(PROJECT), *arguments],  # noqa: S607 - the user's git
            capture_output=True,
            text=True,
            check=True,
            timeout=10,
        )
    except (OSError, subprocess.SubprocessError):
        return None
    return done.stdout.strip() or None
