"""The rules of the house that no tool checks."""

from __future__ import annotations

import ast
import re
import statistics
from collections.abc import Iterator
from pathlib import Path

import pytest

from medical_transfer.runtime.provenance import PROJECT

SOURCE = sorted((PROJECT / "src").rglob("*.py"))
TESTS = sorted((PROJECT / "tests").rglob("*.py"))
PROSE = sorted([*PROJECT.glob("*.md"), *(PROJECT / "docs").rglob("*.md"), *(PROJECT / "conf").rglob("*.yml")])
LONGEST_FILE, LONGEST_FUNCTION, MEDIAN_FUNCTION = 300, 40, 12


def shown(path: Path) -> str:
    return path.relative_to(PROJECT).as_posix()


def functions() -> Iterator[tuple[str, int]]:
    """Every function of the package with its length in lines, docstring included."""
    for path in SOURCE:
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
                assert node.end_lineno is not None
                yield f"{shown(path)}:{node.name}", node.end_lineno - node.lineno + 1


@pytest.mark.parametrize("path", SOURCE, ids=shown)
def test_a_file_is_one_idea(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    assert len(text.splitlines()) < LONGEST_FILE
    assert path.name not in {"utils.py", "helpers.py", "common.py", "misc.py"}
    assert not re.search(r"\b(TODO|FIXME|XXX|HACK)\b", text)
    tree = ast.parse(text)
    assert ast.get_docstring(tree), "says in a sentence what it is for"
    calls = [node.func for node in ast.walk(tree) if isinstance(node, ast.Call)]
    assert not [call for call in calls if isinstance(call, ast.Name) and call.id == "print"]


def test_functions_are_short() -> None:
    lengths = dict(functions())
    assert {name: lines for name, lines in lengths.items() if lines > LONGEST_FUNCTION} == {}
    assert statistics.median(lengths.values()) < MEDIAN_FUNCTION


def test_no_two_test_files_share_a_name() -> None:
    names = [path.name for path in TESTS if path.name != "conftest.py"]
    assert len(names) == len(set(names))


@pytest.mark.parametrize("path", [*PROSE, *SOURCE, PROJECT / "Makefile", PROJECT / "pyproject.toml"], ids=shown)
def test_nothing_names_a_machine(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    assert not re.search(r"(?<![\w.])/(work|root|home|tmp)/\w", text)
    assert not re.search(r"(?<![\w.])(\d{1,3}\.){3}\d{1,3}(?!\.?\w)|localhost|index-url\s+http", text)
