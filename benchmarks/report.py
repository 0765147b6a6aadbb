"""What the benchmarks share: facts of the machine, paired ratios, one JSON file each, and a page of all of them.

    python benchmarks/report.py data/08_reporting/benchmarks                   # print the page
    python benchmarks/report.py data/08_reporting/benchmarks --into docs       # docs/benchmarks/*.json, then the page
    python benchmarks/report.py docs/benchmarks --page docs/performance.md     # write the page again

A page keeps its own words; what stands between its two marks is written from the JSON files. No number of it is typed.
"""

from __future__ import annotations

import argparse
import datetime
import importlib.metadata
import json
import math
import os
import platform
import shutil
import statistics
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd
import psutil

from medical_transfer.runtime.cores import cores
from medical_transfer.runtime.files import read_json, write_json

LOAD_BEFORE = os.getloadavg()[0] if hasattr(os, "getloadavg") else None
"""What others asked of the machine when the benchmark began: with more than a little, its seconds say little."""
FLAGS = ("avx2", "avx512f", "avx_vnni", "avx512_vnni", "avx512_bf16", "amx_bf16", "amx_int8", "sve", "bf16", "i8mm")
LIBRARIES = ("torch", "torchvision", "timm", "lightning", "onnxruntime", "pillow", "kedro", "numpy")
BEGIN, END = "<!-- figures: written by benchmarks/report.py -->", "<!-- end of figures -->"
ORDER = (
    "chapter_loop",
    "adaptation_loop",
    "trainer_overhead",
    "cached_cut",
    "predict",
    "fastai_peer",
    "memory",
    "start_up",
    "audit",
    "main_job",
)


@dataclass(frozen=True)
class Ratio:
    """One figure that a goal may be set for, measured side by side in each of some rounds.

    `what` says it in words, with its numerator and denominator; `at_least` and `at_most` are the goal.
    """

    what: str
    rounds: Sequence[float]
    at_least: float | None = None
    at_most: float | None = None

    def facts(self) -> dict[str, Any]:
        """The median is the figure, lowest and highest round stand beside it."""
        median = statistics.median(self.rounds)
        goals = [(self.at_least, ">=", median >= (self.at_least or 0)), (self.at_most, "<=", self._below(median))]
        stated = next(((f"{sign} {goal:g}", met) for goal, sign, met in goals if goal is not None), (None, None))
        return {
            "what": self.what,
            "median": median,
            "lowest": min(self.rounds),
            "highest": max(self.rounds),
            "rounds": len(self.rounds),
            "goal": stated[0],
            "met": stated[1],
        }

    def _below(self, median: float) -> bool:
        return self.at_most is None or median <= self.at_most


def interleaved(jobs: Mapping[str, Callable[[], object]], *, rounds: int) -> dict[str, list[float]]:
    """Seconds of each job in each round. The jobs of a round follow one another, in an order that turns."""
    names = list(jobs)
    seconds: dict[str, list[float]] = {name: [] for name in names}
    for turn in range(rounds):
        start = turn % len(names)
        for name in names[start:] + names[:start]:
            begun = time.perf_counter()
            jobs[name]()
            seconds[name].append(time.perf_counter() - begun)
    return seconds


def publish(
    name: str,
    table: pd.DataFrame,
    *,
    arguments: argparse.Namespace,
    ratios: Sequence[Ratio] = (),
    notes: Sequence[str] = (),
) -> None:
    """Print a benchmark's table and ratios; with `arguments.out` keep them as JSON.

    Args:
        name: of the benchmark, and of its file.
        table: its index says what the rows are.
        arguments: of the command line; kept but for paths, which are of this machine only.
        ratios: figures measured side by side.
        notes: what a reader must know.
    """
    facts = [ratio.facts() for ratio in ratios]
    print(table.to_string())
    for fact in facts:
        print(_in_words(fact))
    for note in notes:
        print(note)
    if arguments.out is None:
        return
    content = {
        "benchmark": name,
        "date": datetime.datetime.now(tz=datetime.UTC).date().isoformat(),
        "settings": {key: value for key, value in vars(arguments).items() if not _is_place(value)},
        "machine": machine(),
        "columns": [*table.reset_index().columns],
        "rows": json.loads(table.reset_index().to_json(orient="records", double_precision=6)),
        "ratios": facts,
        "notes": list(notes),
    }
    write_json(arguments.out if arguments.out.suffix == ".json" else arguments.out / f"{name}.json", content)


def _is_place(value: object) -> bool:
    """A path, paths, or nothing."""
    return isinstance(value, Path | None) or (isinstance(value, list) and any(isinstance(each, Path) for each in value))


def add_out(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--out", type=Path, help="file (*.json) or folder for the figures as JSON")


def machine() -> dict[str, Any]:
    """What of the machine decides its figures; nothing that names it."""
    facts: dict[str, Any] = {
        "system": f"{platform.system()} {platform.machine()}",
        "cores": cores(),
        "cpu_flags": cpu_flags(),
        "memory_gib": round(psutil.virtual_memory().total / 2**30),
        "load_before": LOAD_BEFORE and round(LOAD_BEFORE, 1),
        "python": platform.python_version(),
        "versions": {name: importlib.metadata.version(name) for name in LIBRARIES},
    }
    torch = sys.modules.get("torch")  # not every benchmark has a use for it
    if torch is not None:
        where = torch.accelerator.current_accelerator(check_available=True)
        cuda = where is not None and where.type == "cuda"
        facts["accelerator"] = torch.cuda.get_device_name(where) if cuda else str(where or "none")
        facts["torch_threads"] = torch.get_num_threads()
    return facts


def cpu_flags() -> list[str]:
    """Units of the CPU that decide which number format is fast; empty where the system does not tell."""
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        return []
    found = next((set(line.split()) for line in lines if line.startswith(("flags", "Features"))), set())
    return [flag for flag in FLAGS if flag in found]


def has_bf16_units() -> bool:
    """Whether the CPU multiplies bf16 in hardware."""
    return bool({"avx512_bf16", "amx_bf16", "bf16"} & set(cpu_flags()))


def page_of(folder: Path) -> str:
    """All JSON files of a folder as Markdown: goals first, then a table for each benchmark."""
    files = sorted(folder.glob("*.json"), key=lambda file: (*_place(file.stem), file.stem))
    if not files:
        return "Nothing measured yet: `make bench`.\n"
    found = [(file.stem, read_json(file)) for file in files]
    goals = [(name, ratio) for name, content in found for ratio in content["ratios"]]
    parts = [_goals(goals)] if goals else []
    return "\n".join([*parts, *(_section(name, content) for name, content in found)])


def _place(name: str) -> tuple[int]:
    return (ORDER.index(name) if name in ORDER else len(ORDER),)


def _goals(ratios: Sequence[tuple[str, Mapping[str, Any]]]) -> str:
    rows = [
        {
            "benchmark": name,
            "ratio": ratio["what"],
            "median (lowest-highest)": _spread(ratio),
            "rounds": ratio["rounds"],
            "goal": ratio["goal"] or "",
            "met": {True: "yes", False: "**no**", None: ""}[ratio["met"]],
        }
        for name, ratio in ratios
    ]
    return "\n".join(_table(rows)) + "\n"


def _section(name: str, content: Mapping[str, Any]) -> str:
    lines = [f"### {name}", ""]
    rows = [{column: row[column] for column in content["columns"]} for row in content["rows"]]  # JSON sorts names
    lines += [*_table(rows), ""]
    lines += [line for note in content["notes"] for line in (note, "")]
    settings = ", ".join(f"{key} {_shown(value)}" for key, value in content["settings"].items())
    facts = (content["date"], settings, _machine_in_words(content["machine"]))
    lines += ["; ".join(fact for fact in facts if fact)]
    return "\n".join([*lines, ""])


def _machine_in_words(machine: Mapping[str, Any]) -> str:
    flags = " ".join(machine.get("cpu_flags", [])) or "none that matter"
    said = {
        "": f"{machine.get('system')}, {machine.get('cores')} cores ({flags}), {machine.get('memory_gib')} GiB",
        "accelerator ": machine.get("accelerator"),
        "torch threads ": machine.get("torch_threads"),
        "load before ": machine.get("load_before"),
        "torch ": machine.get("versions", {}).get("torch"),
        "onnxruntime ": machine.get("versions", {}).get("onnxruntime"),
    }
    return ", ".join(f"{what}{value}" for what, value in said.items() if value is not None)


def _table(rows: Sequence[Mapping[str, Any]]) -> Iterator[str]:
    if not rows:
        return
    names = list(dict.fromkeys(name for row in rows for name in row))
    yield f"| {' | '.join(names)} |"
    yield f"|{'---|' * len(names)}"
    for row in rows:
        yield f"| {' | '.join(_shown(row.get(name)) for name in names)} |"


def _shown(value: object) -> str:
    """Three figures of a number; whole numbers with their thousands apart."""
    match value:
        case None:
            return ""
        case bool() | str():
            return str(value)
        case list() | tuple():
            return " ".join(map(_shown, value))
        case float() if value and math.isfinite(value):
            digits = max(0, 2 - math.floor(math.log10(abs(value))))
            return f"{value:,.{digits}f}"
        case int() | float():
            return f"{value:,.0f}"
    return str(value)


def _in_words(fact: Mapping[str, Any]) -> str:
    goal = "" if fact["goal"] is None else f"; goal {fact['goal']}: {'met' if fact['met'] else 'MISSED'}"
    return f"{fact['what']}: {_spread(fact)} in {fact['rounds']} rounds{goal}"


def _spread(fact: Mapping[str, Any]) -> str:
    return f"{_shown(fact['median'])} ({_shown(fact['lowest'])}-{_shown(fact['highest'])})"


def write_page(page: Path, folder: Path) -> None:
    """Put the figures of a folder between the marks of a page."""
    before, found, rest = page.read_text(encoding="utf-8").partition(BEGIN)
    _, closed, after = rest.partition(END)
    if not (found and closed):
        sys.exit(f"{page} lacks the marks {BEGIN} and {END}: put them where the figures belong.")
    page.write_text(f"{before}{BEGIN}\n\n{page_of(folder)}\n{END}{after}", encoding="utf-8")


def main() -> None:
    arguments = _arguments()
    if arguments.into is not None:
        kept = arguments.into / "benchmarks"
        kept.mkdir(exist_ok=True)
        for file in arguments.folder.glob("*.json"):
            shutil.copy(file, kept)
        write_page(arguments.into / "performance.md", kept)
    elif arguments.page is not None:
        write_page(arguments.page, arguments.folder)
    else:
        print(page_of(arguments.folder), end="")


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path, help="where the JSON files of the benchmarks are")
    parser.add_argument("--into", type=Path, help="copy them into <INTO>/benchmarks and write <INTO>/performance.md")
    parser.add_argument("--page", type=Path, help="write this page's figures")
    return parser.parse_args()


if __name__ == "__main__":
    main()
