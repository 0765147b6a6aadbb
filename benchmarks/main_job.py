"""The main job beside plain linear probes, on the same splits of the built-in sample, over several split seeds.

    python benchmarks/main_job.py                      # groups: near-duplicates, mirrored ones too (the default split)
    python benchmarks/main_job.py --upright            # groups: upright near-duplicates only

Prints, for each seed and as a mean: test AUROC and accuracy of the main job, of a logistic regression on the frozen
features of one trunk, and of one on three trunks side by side; the seconds of the main job and its peak memory. The
first seed starts with nothing, the others find its decoded images. The probes have no augmentation, C = 0.01 and the
threshold one half; nothing is chosen by the test split.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import pandas as pd
from pictures import PACKAGES
from report import add_out, publish
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import accuracy_score, roc_auc_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from medical_transfer.config.backbones import Backbones
from medical_transfer.datasets.image_cache import ImageCacheDataset
from medical_transfer.models.backbones import find_source
from medical_transfer.models.features import write_features
from medical_transfer.runtime.files import read_json
from medical_transfer.runtime.provenance import PROJECT

TRUNKS = ("efficientnet_lite0", "efficientnet_lite1", "efficientnet_lite2")


def main() -> None:
    arguments = _arguments()
    root = Path(tempfile.mkdtemp(prefix="main_job_"))
    rows = []
    features: dict[str, np.ndarray] = {}
    for seed in arguments.seeds:
        run_root = root / f"seed{seed}"  # the caches lie in `root`
        seconds, peak_mb = run_main_job(run_root, seed, upright=arguments.upright)
        features = features or trunk_features(run_root)
        rows.append({"seed": seed, "seconds": seconds, "peak_mb": peak_mb, **compare(run_root, features)})
        print(json.dumps(rows[-1]), flush=True)
        shutil.rmtree(root / "04_feature")
    table = pd.DataFrame(rows).set_index("seed")
    mean = table.mean().to_frame("mean").T
    publish(
        "main_job_upright" if arguments.upright else "main_job",
        pd.concat([table, mean]).rename_axis("seed"),
        arguments=arguments,
    )
    shutil.rmtree(root)


def run_main_job(run_root: Path, seed: int, *, upright: bool) -> tuple[float, float]:
    """Wall seconds and peak resident memory (MB) of `kedro run` in a fresh root beside shared caches."""
    folders = f"run_root={run_root},cache_root={run_root.parent}"
    parameters = f"{folders},run.seed={seed},split.mirrored_copies={str(not upright).lower()}"
    command = [sys.executable, "-m", "kedro", "run", "--pipeline=medical_transfer", f"--params={parameters}"]
    started = time.perf_counter()
    process = subprocess.Popen(command, cwd=PROJECT, stderr=subprocess.DEVNULL)
    _, status, usage = os.wait4(process.pid, 0)
    if status:
        sys.exit(f"seed {seed}: the main job ended with status {status}")
    return round(time.perf_counter() - started, 1), round(usage.ru_maxrss / 1024)


def trunk_features(run_root: Path) -> dict[str, np.ndarray]:
    """Frozen features of all cached images under each trunk."""
    cache = ImageCacheDataset(filepath=str(run_root / "05_model_input/image_cache.json")).load()
    slots = np.arange(cache.meta["n"])
    found = {}
    for name in TRUNKS:
        folder = Path(tempfile.mkdtemp())
        write_features(
            find_source(name, Backbones()),
            pixels_NSS3=cache.pixels_NSS3,
            slots_n=slots,
            backbones=Backbones(),
            packages_folder=PACKAGES,
            folder=folder,
        )
        found[name] = np.load(folder / "features.npy")
        shutil.rmtree(folder)
    return found


def compare(run_root: Path, features: dict[str, np.ndarray]) -> dict[str, float]:
    """Test AUROC and accuracy of the main job and of the probes; rows of the manifest are slots of the cache."""
    evaluation = read_json(run_root / "08_reporting/finetuned_evaluation.json")["test"]
    manifest = pd.read_parquet(run_root / "03_primary/manifest.parquet")
    row = {"job_auroc": evaluation["auroc"]["estimate"], "job_accuracy": evaluation["accuracy"]["estimate"]}
    row["job_low"], row["job_high"] = evaluation["auroc"]["low"], evaluation["auroc"]["high"]
    inputs = {"lite0": features[TRUNKS[0]], "three": np.concatenate([features[name] for name in TRUNKS], axis=1)}
    for name, features_ND in inputs.items():
        row[f"{name}_auroc"], row[f"{name}_accuracy"] = probe(manifest, features_ND)
    row["groups"] = manifest["group_id"].nunique()
    return row


def probe(manifest: pd.DataFrame, features_ND: np.ndarray) -> tuple[float, float]:
    labels_N = (manifest["label"] == "tumour").to_numpy()
    train_N, test_N = ((manifest["split"] == split).to_numpy(dtype=bool) for split in ("train", "test"))
    model = make_pipeline(StandardScaler(), LogisticRegression(C=0.01, max_iter=1000))
    model.fit(features_ND[train_N], labels_N[train_N])
    said_n = model.predict_proba(features_ND[test_N])[:, 1]
    return roc_auc_score(labels_N[test_N], said_n), accuracy_score(labels_N[test_N], said_n > 0.5)


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--upright", action="store_true", help="do not look for mirrored copies")
    add_out(parser)
    return parser.parse_args()


if __name__ == "__main__":
    main()
