"""Anonymous memory of every stage of the main job at growing numbers of images: it should hardly grow.

    python benchmarks/memory.py                        # 1,000 and 10,000 images, about three minutes
    python benchmarks/memory.py --images 10000 100000  # the goal's pair; about half an hour and 3 GB of disk
    python benchmarks/memory.py --by node              # the same for single nodes: which one grows

Each number of images gets one fresh process that does the whole main job on small JPEGs (48 px; two classes; one in
four is a noisy copy of the one before) with an untrained network of 0.3 million parameters: what grows with the
images is then not hidden behind a large network. From outside, every 20 ms, the process's anonymous memory is read:
that is what is allocated, without mapped files, which the system drops when it needs the room. Linux only.

Prints, for each stage: peak anonymous MB and seconds at each number of images, then between the last two numbers the
ratio of the peaks and the bytes that each further image costs.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterable
from itertools import pairwise
from pathlib import Path
from typing import Any

import pandas as pd
from pictures import write_images
from report import Ratio, add_out, publish
from session import run_stages

from medical_transfer.pipeline_registry import STAGES
from medical_transfer.runtime.files import read_json
from medical_transfer.runtime.provenance import PROJECT

SAMPLE_S = 0.02
GOAL_COUNTS, GOAL = (10_000, 100_000), 1.1
FINISHED = re.compile(r"INFO +(\w+) +(\w+) +[\d.]+ s, memory")
"""What the clock of the stages (`hooks/timing.py`) says at the end of each node."""


def main() -> None:
    arguments = _arguments()
    if arguments.child:
        run_stages(read_json(arguments.child), STAGES)
        return
    with tempfile.TemporaryDirectory(prefix="memory_") as scratch:
        weights = write_untrained_network(Path(scratch))
        found = {}
        for count in sorted(arguments.images):
            found[count] = measure(count, Path(scratch), weights, by=arguments.by)
            print(f"{count} images: {found[count]['anonymous_mb'].max():.0f} MB", file=sys.stderr, flush=True)
    publish("memory", compare(found), arguments=arguments, ratios=growth(found))


def growth(found: dict[int, pd.DataFrame]) -> list[Ratio]:
    """The highest memory at each number of images over that at the number before."""
    highest = {count: rows["anonymous_mb"].max() for count, rows in found.items()}
    return [
        Ratio(
            f"highest anonymous memory at {after:,} / {before:,} images",
            [highest[after] / highest[before]],
            at_most=GOAL if (before, after) == GOAL_COUNTS else None,
        )
        for before, after in pairwise(found)
    ]


def measure(count: int, scratch: Path, weights: Path, *, by: str) -> pd.DataFrame:
    """Peak anonymous MB and seconds of each stage (or node) of the main job on `count` images."""
    folder = scratch / str(count)
    write_images(folder / "images", count)
    asked = folder / "parameters.json"
    asked.write_text(json.dumps(parameters(folder, weights)), encoding="utf-8")
    nodes = watch([sys.executable, __file__, "--child", str(asked)])
    keys = [by] if by == "stage" else ["stage", "node"]
    return nodes.groupby(keys, sort=False).agg({"anonymous_mb": "max", "seconds": "sum"})


def watch(command: list[str]) -> pd.DataFrame:
    """Run a main job and sample it: one row per node in the order in which they ended."""
    threads = dict.fromkeys(("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS"), "1")
    environment = {**os.environ, **threads, "DO_NOT_TRACK": "1"}
    with subprocess.Popen(command, cwd=PROJECT, env=environment, stderr=subprocess.PIPE, text=True) as process:
        samples: list[tuple[float, float]] = []
        sampler = threading.Thread(target=_sample, args=(process, samples))
        sampler.start()
        rows, told = _attribute(process.stderr or (), samples)
        sampler.join()
    if process.returncode:
        sys.exit(f"the main job ended with status {process.returncode}:\n{told}")
    return pd.DataFrame(rows, columns=["stage", "node", "anonymous_mb", "seconds"])


def _attribute(lines: Iterable[str], samples: list[tuple[float, float]]) -> tuple[list[tuple[Any, ...]], str]:
    """Give each node that a line says has ended the samples since the one before; also the last lines as they are."""
    rows: list[tuple[Any, ...]] = []
    begun, told = time.perf_counter(), ""
    for line in lines:
        told = (told + line)[-4000:]
        if match := FINISHED.search(line):
            ended = time.perf_counter()
            before_mb = samples[-1][1] if samples else float("nan")  # of a node that ends between two samples
            peak_mb = max((mb for at, mb in samples if begun <= at <= ended), default=before_mb)
            rows.append((*match.groups(), peak_mb, ended - begun))
            begun = ended
    return rows, told


def _sample(process: subprocess.Popen[str], samples: list[tuple[float, float]]) -> None:
    place = Path(f"/proc/{process.pid}/smaps_rollup")
    while process.poll() is None:
        asked_at = time.perf_counter()
        try:
            anonymous_kb = next(line for line in place.read_text().splitlines() if line.startswith("Anonymous:"))
        except (OSError, StopIteration):  # the process is ending
            return
        now = time.perf_counter()
        samples.append((now, int(anonymous_kb.split()[1]) / 1024))
        time.sleep(max(SAMPLE_S, 4 * (now - asked_at)))  # the answer costs time where much is mapped


def compare(found: dict[int, pd.DataFrame]) -> pd.DataFrame:
    """Numbers of images side by side, and what the last step costs."""
    table = pd.DataFrame({f"MB at {count}": rows["anonymous_mb"] for count, rows in found.items()})
    table.loc["highest" if table.index.nlevels == 1 else ("", "highest"), :] = table.max()
    counts = list(found)
    if len(counts) > 1:
        before, after = counts[-2:]
        table["ratio"] = table[f"MB at {after}"] / table[f"MB at {before}"]
        grown_mb = table[f"MB at {after}"] - table[f"MB at {before}"]
        table["bytes per image"] = grown_mb * 2**20 / (after - before)
    for count, rows in found.items():
        table[f"s at {count}"] = rows["seconds"]
    decimals = {name: 2 if name == "ratio" else 0 for name in table.columns}
    return table.round(decimals)


def write_untrained_network(folder: Path) -> Path:
    """Weights of a ResNet-20 for small pictures as torch draws them."""
    from safetensors.torch import save_file  # noqa: PLC0415 - the child and the parent need one library each

    from medical_transfer.models.architectures import build_architecture  # noqa: PLC0415

    place = folder / "untrained.safetensors"
    save_file(build_architecture("house/resnet20_cifar", seed=0).state_dict(), place)
    return place


def parameters(folder: Path, weights: Path) -> dict[str, Any]:
    """The main job on these images, with as little arithmetic as goes with every stage and the default split."""
    tiny = {"path": str(weights), "architecture": "house/resnet20_cifar", "size": 32}
    return {
        "run_root": str(folder / "run"),
        "cache_root": str(folder / "run"),
        "images": {"kind": "folder", "root": str(folder / "images"), "size": 32, "workers": 1},
        "backbones": {"own": {"tiny": tiny}},
        "transferability": {"sources": ["tiny"], "folds": 2, "max_images": 500},
        "augmentation": {"policy": "none"},
        "model": {"freeze": "all"},
        "training": {"batch_size": 256, "finetune": {"head_epochs": 1}},
        "evaluation": {"resamples": 2000},
    }


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--images", type=int, nargs="+", default=[1000, 10000])
    parser.add_argument("--by", choices=("stage", "node"), default="stage")
    add_out(parser)
    parser.add_argument("--child", type=Path, help=argparse.SUPPRESS)
    return parser.parse_args()


if __name__ == "__main__":
    main()
