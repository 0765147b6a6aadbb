from __future__ import annotations

import hashlib
import shutil
import subprocess
from pathlib import Path

import pytest

from medical_transfer.runtime import provenance
from medical_transfer.runtime.provenance import CodeState, code_state, in_project, lock_hash


@pytest.fixture
def project(tmp_path, monkeypatch):
    monkeypatch.setattr(provenance, "PROJECT", tmp_path)
    for name in ("GIT_DIR", "GIT_WORK_TREE", "GIT_INDEX_FILE"):
        monkeypatch.delenv(name, raising=False)
    return tmp_path


def git(folder, *arguments) -> str:
    identity = ["-c", "user.name=t", "-c", "user.email=t@example.org", "-c", "commit.gpgsign=false"]
    done = subprocess.run(["git", "-C", str(folder), *identity, *arguments], capture_output=True, text=True, check=True)
    return done.stdout.strip()


needs_git = pytest.mark.skipif(shutil.which("git") is None, reason="git is not installed")


def test_places_stand_in_the_project_at_home_or_where_they_say(project, monkeypatch):
    monkeypatch.setenv("HOME", "/here")
    places = {"runs": project / "runs", "~/runs": Path("/here/runs"), "/there": Path("/there")}
    assert {path: in_project(path) for path in places} == places


@needs_git
def test_commit_and_changes_against_git(project):
    git(project, "init", "-q")
    assert code_state() == CodeState(None, dirty=False)  # no commit yet
    (project / "x").write_text("1")
    git(project, "add", "x")
    git(project, "commit", "-q", "-m", "first")
    sha = git(project, "rev-parse", "HEAD")
    assert code_state() == CodeState(sha, dirty=False)
    (project / "untracked").write_text("results")
    assert not code_state().dirty
    (project / "x").write_text("2")
    assert code_state() == CodeState(sha, dirty=True)


def test_outside_a_repository(project):
    assert code_state() == CodeState(None, dirty=False)


@needs_git
def test_installed_inside_somebody_elses_repository(project, monkeypatch):
    git(project, "init", "-q")
    git(project, "commit", "-q", "--allow-empty", "-m", "theirs")
    inside = project / ".venv" / "lib"
    inside.mkdir(parents=True)
    monkeypatch.setattr(provenance, "PROJECT", inside)
    assert code_state() == CodeState(None, dirty=False)


def test_without_git(project, monkeypatch):
    (project / ".git").mkdir()
    monkeypatch.setenv("PATH", str(project))
    assert code_state() == CodeState(None, dirty=False)


def test_lock(project):
    assert lock_hash() is None
    (project / "requirements.lock").write_text("a==1\n")
    assert lock_hash() == hashlib.sha256(b"a==1\n").hexdigest()[:16]
