"""Partial fine-tuning from activations cached at the cut beside the same run that learns from images.

    python benchmarks/cached_cut.py                                # three seeds, some minutes on two quiet cores
    python benchmarks/cached_cut.py --per-class 512 --limit 3000   # nearer to the main job; an hour
    python benchmarks/cached_cut.py --out found.json

Both arms are the main job on the built-in sample with one source, the same split, seed, order of batches and number of
epochs; nothing stops early. `cached` learns from K views of each image that the frozen part has seen once, `images`
(`training.cached=false`) augments each image anew in each epoch and runs the whole network. For each seed both run one
after the other, the first of them in turn, each in a fresh process.

Prints, for each seed: AUROC of validation and test of both arms, and the difference (cached - images) with the 95 %
interval of a bootstrap that draws groups of images, the same for both arms. Then the mean difference over the seeds
with Student's interval, and the seconds of one epoch and of the training stage of both (the cache's making included).
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from report import Ratio, add_out, publish
from session import run_stages

from medical_transfer.metrics.classification import auroc
from medical_transfer.metrics.intervals import bootstrap_counts, intervals, strata
from medical_transfer.runtime.files import read_json, write_json
from medical_transfer.runtime.provenance import PROJECT
from medical_transfer.studies.conclusion import t_interval
from medical_transfer.types import Interval

ARMS = ("cached", "images")
SPLITS = ("val", "test")
RESAMPLES = 2000
READING = ("ingestion", "split", "target_ingestion", "target_split")
STAGES = (*READING, "transferability", "model_building", "training", "evaluation")


def main() -> None:
    arguments = _arguments()
    if arguments.child:
        run_stages(read_json(arguments.child), STAGES)
        return
    rows = []
    with tempfile.TemporaryDirectory(prefix="cached_cut_") as scratch:
        for number, seed in enumerate(arguments.seeds):
            roots = {arm: Path(scratch) / f"seed{seed}" / arm for arm in ARMS}
            for arm in ARMS[:: 1 - 2 * (number % 2)]:
                run_arm(arm, roots[arm], seed, arguments)
            rows.append({"seed": seed, **compare(roots, seed)})
            print(json.dumps(rows[-1]), file=sys.stderr, flush=True)
    times = [
        Ratio(f"{what}: seconds from images / from the cache", found) for what, found in times_as_long(rows).items()
    ]
    publish("cached_cut", table(rows).set_index("seed"), arguments=arguments, ratios=times, notes=sentences(rows))


def run_arm(arm: str, root: Path, seed: int, arguments: argparse.Namespace) -> None:
    """Run the main job up to its evaluation in a process of its own; decoded images and scores are shared."""
    root.mkdir(parents=True)
    asked = root / "asked.json"
    write_json(asked, parameters(arm, root, seed, arguments))
    command = [sys.executable, __file__, "--child", str(asked)]
    done = subprocess.run(command, cwd=PROJECT, capture_output=True, text=True, check=False)
    if done.returncode:
        sys.exit(f"seed {seed}, {arm}: the main job ended with status {done.returncode}:\n{done.stderr[-4000:]}")


def parameters(arm: str, root: Path, seed: int, arguments: argparse.Namespace) -> dict[str, Any]:
    return {
        "run_root": str(root),
        "cache_root": str(root.parents[1]),
        "run": {"seed": seed},
        "images": {"size": arguments.size, "limit": arguments.limit, "workers": None},
        "augmentation": {"views": arguments.views},
        "transferability": {"sources": [arguments.source], "chosen": arguments.source, "max_images": 200},
        "model": {"freeze": "partial", "trainable_stages": arguments.stages},
        "training": {
            "cached": arm == "cached",
            "per_class": arguments.per_class,
            "epochs": arguments.epochs,
            "patience": arguments.epochs,
            "batch_size": arguments.batch_size,
            "number_format": arguments.number_format,
            "finetune": {"head_epochs": arguments.head_epochs},
        },
        "evaluation": {"predict_training": False},
    }


def compare(roots: dict[str, Path], seed: int) -> dict[str, Any]:
    """What both arms of one seed gave and cost."""
    predictions = {
        arm: pd.read_parquet(root / "07_model_output/finetuned_predictions.parquet") for arm, root in roots.items()
    }
    found: dict[str, Any] = {}
    for split in SPLITS:
        both = {arm: frame[frame["split"] == split].set_index("image_id") for arm, frame in predictions.items()}
        found[split] = paired(both["cached"], both["images"].loc[both["cached"].index], np.random.default_rng(seed))
    return {**found, **{arm: costs(root) for arm, root in roots.items()}}


def paired(cached: pd.DataFrame, images: pd.DataFrame, rng: np.random.Generator) -> dict[str, Any]:
    """AUROC of both arms on the same images, and their difference on the same resamples of whole groups."""
    columns = [name for name in cached if name.startswith("p_")]
    labels_N = np.array([columns.index(f"p_{label}") for label in cached["label"]])
    groups_N = cached["group_id"].to_numpy(str)
    scores = {"cached": cached[columns].to_numpy(float), "images": images[columns].to_numpy(float)}
    chunks = bootstrap_counts(groups_N, strata(labels_N, groups_N), RESAMPLES, rng)

    def difference(weights_BN: np.ndarray) -> np.ndarray:
        return auroc(labels_N, scores["cached"], weights_BN) - auroc(labels_N, scores["images"], weights_BN)

    found = intervals({"difference": difference}, chunks)["difference"]
    ones = np.ones((1, len(labels_N)))
    values = {arm: float(auroc(labels_N, scores[arm], ones)[0]) for arm in ARMS}
    return {**values, "difference": _ends(found), "n": len(labels_N), "groups": len(np.unique(groups_N))}


def costs(root: Path) -> dict[str, Any]:
    """Seconds of an epoch of each phase (median), of the training stage, and the number formats."""
    history = pd.read_parquet(root / "08_reporting/finetuned_history.parquet")
    spent = read_json(root / "08_reporting/timing.json")["training"]
    (card,) = (root / "06_models/finetuned").glob("*/model.json")
    return {
        "seconds_per_epoch": history.groupby("phase")["seconds"].median().to_dict(),
        "epochs": history.groupby("phase").size().to_dict(),
        "training_seconds": spent["seconds"] + spent["reused_seconds"],
        "number_formats": read_json(card)["number_formats"],
    }


def times_as_long(rows: list[dict[str, Any]]) -> dict[str, list[float]]:
    """For each seed how many times the seconds of the cached arm the other one took."""

    def times(of: Callable[[dict[str, Any]], float]) -> list[float]:
        return [of(row["images"]) / of(row["cached"]) for row in rows]

    phases = {f"epoch of {name}": times(lambda c, name=name: c["seconds_per_epoch"][name]) for name in _phases(rows)}
    return {**phases, "training stage": times(lambda costs: costs["training_seconds"])}


def _phases(rows: list[dict[str, Any]]) -> list[str]:
    return list(rows[0]["cached"]["seconds_per_epoch"])


def table(rows: list[dict[str, Any]]) -> pd.DataFrame:
    """One line for each seed."""
    lines = []
    for row in rows:
        line: dict[str, Any] = {"seed": row["seed"]}
        for split in SPLITS:
            mine, ends = row[split], row[split]["difference"]
            line |= {f"{split} {arm}": f"{mine[arm]:.4f}" for arm in ARMS}
            line[f"{split} difference"] = f"{ends['estimate']:+.4f} ({ends['low']:+.4f} to {ends['high']:+.4f})"
        for arm in ARMS:
            line |= {f"{phase} s/epoch {arm}": f"{s:.2f}" for phase, s in row[arm]["seconds_per_epoch"].items()}
            line[f"training s {arm}"] = f"{row[arm]['training_seconds']:.0f}"
        lines.append(line)
    return pd.DataFrame(lines)


def sentences(rows: list[dict[str, Any]]) -> list[str]:
    """Of each split the mean difference over the seeds with Student's interval, in words."""
    said = []
    for split in SPLITS:
        mean = t_interval([row[split]["difference"]["estimate"] for row in rows])
        shown = "a difference is shown" if mean.low > 0 or mean.high < 0 else "no difference is shown"
        if len(rows) < 2:
            shown = "one seed has no interval"
        said.append(
            f"{split} AUROC, cached - images, mean of {len(rows)} seeds: {mean.estimate:+.4f} "
            f"(95 % {mean.low:+.4f} to {mean.high:+.4f}): {shown}."
        )
    return said


def _ends(found: Interval) -> dict[str, float]:
    return {"estimate": found.estimate, "low": found.low, "high": found.high}


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--per-class", type=int, default=96, help="training images of each class")
    parser.add_argument("--limit", type=int, default=1000, help="images of the sample that are used in all")
    parser.add_argument("--size", type=int, default=128, help="side of the images in pixels")
    parser.add_argument("--views", type=int, default=4, help="K, augmented views in the cache")
    parser.add_argument("--stages", type=int, default=3, help="last stages of the trunk that learn")
    parser.add_argument("--head-epochs", type=int, default=8)
    parser.add_argument("--epochs", type=int, default=6, help="epochs once the trunk moves")
    parser.add_argument("--batch-size", type=int, default=32)
    parser.add_argument("--number-format", choices=("auto", "fp32", "bf16"), default="fp32", help="the same for both")
    parser.add_argument("--source", default="efficientnet_lite0")
    add_out(parser)
    parser.add_argument("--child", type=Path, help=argparse.SUPPRESS)
    return parser.parse_args()


if __name__ == "__main__":
    main()
