"""The documentation is true: parameters, files that it names, commands and pictures."""

from __future__ import annotations

import re
import runpy
from pathlib import Path

import pytest

from medical_transfer.hooks.guards import BLOCKS
from medical_transfer.runtime.provenance import PROJECT

PAGES = [PROJECT / "README.md", PROJECT / "CONTRIBUTING.md", *sorted((PROJECT / "docs").glob("*.md"))]
FOLDERS = ("src", "tests", "conf", "docs", "notebooks", "benchmarks")
FILES = (".yml", ".py", ".json", ".onnx", ".png", ".safetensors")


def test_configuration_page_is_what_the_typed_blocks_say() -> None:
    script = PROJECT / "docs/write_configuration.py"
    expected = runpy.run_path(str(script))["page"]()
    assert (PROJECT / "docs/configuration.md").read_text(encoding="utf-8") == expected, f"run python {script.name}"


RULE = ("fewest parameters", "one standard error of the best")


@pytest.mark.parametrize("page", ["README.md", "docs/configuration.md", "conf/base/parameters/transferability.yml"])
def test_which_source_is_built_is_what_the_code_does(page: str) -> None:
    text = re.sub(r"[\s#]+", " ", (PROJECT / page).read_text(encoding="utf-8"))
    assert [words for words in RULE if words not in text] == []


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_links_and_files_named_are_there(page: Path) -> None:
    text = page.read_text(encoding="utf-8")
    links = [link for link in re.findall(r"\]\(([^)#]+)\)", text) if "://" not in link]
    assert [link for link in links if not (page.parent / link).exists()] == []
    named = [name for name in re.findall(r"`([\w./-]+)`", text) if name.startswith(tuple(f"{f}/" for f in FOLDERS))]
    assert [name for name in named if not (PROJECT / name).exists() and not name.startswith("conf/local")] == []


def test_parameters_named_in_pages_exist() -> None:
    known = {f"{block}.{name}" for block, kind in BLOCKS.items() for name in kind.model_fields}
    for page in PAGES:
        used = re.findall(rf"(?<![\w/])((?:{'|'.join(BLOCKS)})\.[a-z_0-9]+)\b", page.read_text(encoding="utf-8"))
        assert {name for name in used if name not in known and not name.endswith(FILES)} == set(), page


def test_readme_has_the_two_commands_word_for_word() -> None:
    readme = (PROJECT / "README.md").read_text(encoding="utf-8")
    makefile = (PROJECT / "Makefile").read_text(encoding="utf-8")
    for target in ("run", "test"):
        assert f"\nmake {target} " in readme
        assert re.search(rf"^{target}:", makefile, flags=re.MULTILINE)
    assert "make test" in (PROJECT / ".ci/run").read_text(encoding="utf-8").splitlines()


def test_performance_page_is_what_the_figures_say() -> None:
    report = runpy.run_path(str(PROJECT / "benchmarks/report.py"))
    page = (PROJECT / "docs/performance.md").read_text(encoding="utf-8")
    figures = page.partition(report["BEGIN"])[2].partition(report["END"])[0]
    assert figures.strip() == report["page_of"](PROJECT / "docs/benchmarks").strip(), "run benchmarks/report.py"
