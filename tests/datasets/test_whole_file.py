"""Catalog files are whole or absent: what fails or dies while it writes leaves the file of before."""

from __future__ import annotations

import inspect
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from kedro_datasets.json import JSONDataset
from kedro_datasets.pandas import ParquetDataset

from medical_transfer.datasets.whole_file import WholeJSONDataset, WholeParquetDataset, WholeTextDataset

KINDS: dict[str, tuple[Any, Any, Any]] = {
    "parquet": (WholeParquetDataset, pd.DataFrame({"a": [1, 2]}), pd.DataFrame({"a": [1, "x"]})),
    "json": (WholeJSONDataset, {"a": 1}, {"a": 2, "b": object()}),
    "text": (WholeTextDataset, "page", "half a page, then a sign that cannot be written: \udcff"),
}
"""Class, what can be written, and what cannot."""

DIES = """
import os, signal, sys
from medical_transfer.datasets.whole_file import WholeJSONDataset

class Deadly(dict):
    def items(self):
        yield "a", 2
        sys.stdout.flush()
        os.kill(os.getpid(), signal.SIGKILL)

WholeJSONDataset(filepath=sys.argv[1], save_args={"indent": 2}).save({"first": "x" * 100_000, "then": Deadly(b=1)})
"""


@pytest.mark.parametrize("kind", KINDS)
def test_what_is_saved_is_loaded_and_nothing_lies_beside_it(kind: str, tmp_path: Path) -> None:
    made, content, _ = KINDS[kind]
    dataset = made(filepath=str(tmp_path / "new/file"))
    assert not dataset.exists()
    dataset.save(content)
    found = dataset.load()
    assert found.equals(content) if kind == "parquet" else found == content
    assert [path.name for path in (tmp_path / "new").iterdir()] == ["file"]


@pytest.mark.parametrize("kind", KINDS)
def test_what_cannot_be_written_leaves_the_file_of_before(kind: str, tmp_path: Path) -> None:
    made, content, unwritable = KINDS[kind]
    dataset = made(filepath=str(tmp_path / "file"))
    dataset.save(content)
    before = (tmp_path / "file").read_bytes()
    with pytest.raises(Exception, match="Failed while saving"):
        dataset.save(unwritable)
    assert (tmp_path / "file").read_bytes() == before
    assert [path.name for path in tmp_path.iterdir()] == ["file"]


def test_killed_while_writing_leaves_the_file_of_before(tmp_path: Path) -> None:
    dataset = WholeJSONDataset(filepath=str(tmp_path / "file.json"))
    dataset.save({"a": 1})
    done = subprocess.run([sys.executable, "-c", DIES, str(tmp_path / "file.json")], env=os.environ, check=False)
    assert done.returncode == -signal.SIGKILL
    assert dataset.load() == {"a": 1}


def test_previews_of_kedro_viz_are_those_of_kedros_own(tmp_path: Path) -> None:
    """It chooses how to show one by the annotation of `preview`."""
    for ours, theirs in ((WholeParquetDataset, ParquetDataset), (WholeJSONDataset, JSONDataset)):
        assert inspect.signature(ours.preview).return_annotation == inspect.signature(theirs.preview).return_annotation
    table, facts = WholeParquetDataset(filepath=str(tmp_path / "t")), WholeJSONDataset(filepath=str(tmp_path / "f"))
    table.save(pd.DataFrame({"a": [1, 2, 3]}))
    facts.save({"a": 1})
    assert table.preview(nrows=2)["data"] == [[1], [2]]
    assert facts.preview() == '{"a": 1}'
