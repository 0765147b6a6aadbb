"""The notebooks are committed without outputs, only call the package, and run on a finished run."""

from __future__ import annotations

import ast
from pathlib import Path

import nbformat
import pytest
from nbclient import NotebookClient
from nbformat import NotebookNode

from medical_transfer.datasets.finished_run import RUN_ROOT, open_finished_run
from medical_transfer.runtime.provenance import PROJECT
from medical_transfer.types import UserError

pytestmark = pytest.mark.filterwarnings("ignore:Accessing the 'model_fields' attribute")  # kedro's own use of pydantic

NOTEBOOKS = sorted((PROJECT / "notebooks").glob("*.ipynb"))
PICTURES = {"1_explore_the_data": 4, "2_read_the_transferability_scores": 1, "3_read_the_results": 6}


def code_cells(notebook: NotebookNode) -> list[NotebookNode]:
    return [cell for cell in notebook.cells if cell.cell_type == "code"]


def test_there_are_three_notebooks() -> None:
    assert [path.stem for path in NOTEBOOKS] == list(PICTURES)


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_notebook_holds_no_outputs_and_no_code_of_its_own(path: Path) -> None:
    notebook = nbformat.read(path, as_version=4)
    nbformat.validate(notebook)
    for cell in code_cells(notebook):
        assert cell.outputs == []
        assert cell.execution_count is None
        own = (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef, ast.Lambda, ast.For, ast.While)
        assert not [node for node in ast.walk(ast.parse(cell.source)) if isinstance(node, own)]


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
@pytest.mark.filterwarnings("ignore::DeprecationWarning")
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")  # sockets of the kernel's client
def test_notebook_runs(path: Path, notebook_run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(RUN_ROOT, str(notebook_run))
    monkeypatch.setenv("IPYTHONDIR", str(tmp_path))
    notebook = nbformat.read(path, as_version=4)
    NotebookClient(notebook, timeout=60, resources={"metadata": {"path": str(path.parent)}}).execute()
    shown = [output for cell in code_cells(notebook) for output in cell.outputs if output.output_type != "stream"]
    assert sum("image/png" in output.data for output in shown) == PICTURES[path.stem]
    text = "\n".join(output.data["text/plain"] for output in shown)
    assert {"1": "dark", "2": "random", "3": "bright"}[path.stem[0]] in text


def test_without_a_run_one_sentence_says_what_to_do(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"no finished run: .*report\.html does not exist.*kedro run.*" + RUN_ROOT):
        open_finished_run(str(tmp_path / "nothing"))


def test_argument_wins_over_the_environment(
    notebook_run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(RUN_ROOT, str(tmp_path / "nothing"))
    catalog = open_finished_run(str(notebook_run))
    quarantine = catalog.load("quarantine")
    assert quarantine["path"].tolist() == ["dark/notes.png"]
